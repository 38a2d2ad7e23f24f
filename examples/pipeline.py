"""A network as a scikit-learn estimator: cross-validated, and searched over."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, cross_val_score

from fathom.sklearn import NeuralClassifier

X, y = load_breast_cancer(return_X_y=True)
network = NeuralClassifier(net="mlp", budget="5epochs")
scores = cross_val_score(network, X, y, cv=3)
print(f"accuracy over three folds: {scores.mean():.3f} ± {scores.std():.3f}")

widths = [{"name": "mlp", "hidden": [16]}, {"name": "mlp", "hidden": [64, 64]}]
search = GridSearchCV(network, {"net": widths}, cv=2).fit(X, y)
print(f"the better of two: {search.best_params_['net']}")
