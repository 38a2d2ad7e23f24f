"""Train on a table, look at the score and its interval, and ask for new rows."""

import fathom

run = fathom.fit("iris", budget="20epochs")
accuracy = run.metrics["class"]["accuracy"]
print(f"accuracy {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}], a linear model {accuracy.linear:.3f}")

flowers = {
    "sepal length (cm)": [5.1, 6.7],
    "sepal width (cm)": [3.5, 3.0],
    "petal length (cm)": [1.4, 5.2],
    "petal width (cm)": [0.2, 2.3],
}
print(run.predict(flowers)["class"].to_pylist())
