"""Public data sets by name: where they are published, the hash of each file, and how they are read.

A hash stands here only if it was computed from the published bytes or found in two independent places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fathom.data.download import RemoteFile, fetch
from fathom.data.readers import READERS, call_reader
from fathom.data.source import PARTS, KnownSet, Source
from fathom.data.tables import read_tables
from fathom.registry import Option
from fathom.runtime import cache_directory

__all__ = ["NAMED", "NamedFile", "NamedSet", "folder_of_set", "read_named"]

GITHUB = "https://raw.githubusercontent.com"
UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"
MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
FASHION = f"{GITHUB}/zalandoresearch/fashion-mnist/master/data/fashion"
AG_NEWS = f"{GITHUB}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
BANKING = f"{GITHUB}/PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data"
SST2 = f"{GITHUB}/clairett/pytorch-sentiment-classification/master/data/SST2"
COMPAS = f"{GITHUB}/propublica/compas-analysis/bafff5da3f2e45eca6c2d5055faad269defd135a"
ETT = f"{GITHUB}/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small"


@dataclass(frozen=True)
class NamedFile(RemoteFile):
    """One file of a set.

    Attributes:
        part: the part of the data that it holds; empty where the reader finds the parts itself.
        options: of the reader, for this file alone.
    """

    part: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedSet(KnownSet):
    """A public data set.

    Attributes:
        files: what it is made of.
        reader: the name of a reader; it is given each file that is a part, else the one file, else the folder.
        options: of the reader.
    """

    files: tuple[NamedFile, ...]
    reader: str = "csv"
    options: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        names = ("name", "url", "size_bytes", "sha256")
        return super().facts() | {"files": [{name: getattr(file, name) for name in names} for file in self.files]}


def _headerless(*columns: str) -> dict[str, Any]:
    return {"header": "no", "columns": columns}


ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
    "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
ABALONE_COLUMNS = (
    "Sex", "Length", "Diameter", "Height", "Whole weight", "Shucked weight", "Viscera weight", "Shell weight", "Rings",
)  # fmt: skip
CREDIT_COLUMNS = (
    "status", "duration", "credit_history", "purpose", "credit_amount", "savings", "employment", "installment_rate",
    "personal_status_sex", "other_debtors", "residence_since", "property", "age", "other_installment_plans",
    "housing", "existing_credits", "job", "num_dependents", "telephone", "foreign_worker", "class",
)  # fmt: skip
HEART_COLUMNS = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal",
    "num",
)  # fmt: skip

# fmt: off
NAMED: dict[str, NamedSet] = {
    "abalone": NamedSet(
        "shellfish by size and weight: how old are they?",
        4_177, "CC BY 4.0", ("Rings",), (
            NamedFile("abalone.csv", f"{UCI}/abalone/abalone.data", 191_873,
                      "de37cdcdcaaa50c309d514f248f7c2302a5f1f88c168905eba23fe2fbc78449f"),
        ), options=_headerless(*ABALONE_COLUMNS)),
    "adult": NamedSet(
        "people of a census: does one earn more than 50,000 dollars?",
        48_842, "CC BY 4.0", ("income",), (
            NamedFile("train.csv", f"{UCI}/adult/adult.data", 3_974_305,
                      "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d", "train"),
            NamedFile("test.csv", f"{UCI}/adult/adult.test", 2_003_153,
                      "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05", "test", {"skip_rows": 1}),
        ), options=_headerless(*ADULT_COLUMNS)),
    "ag-news": NamedSet(
        "news by title and description: world (1), sports (2), business (3) or science (4)?",
        127_600, "for research, not commercial", ("label",), (
            NamedFile("train.csv", f"{AG_NEWS}/train.csv", 29_470_338,
                      "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e", "train"),
            NamedFile("test.csv", f"{AG_NEWS}/test.csv", 1_857_427,
                      "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699", "test"),
        ), options=_headerless("label", "title", "description")),
    "banking77": NamedSet(
        "questions to a bank: which of 77 intents?",
        13_083, "CC BY 4.0", ("category",), (
            NamedFile("train.csv", f"{BANKING}/train.csv", 839_073,
                      "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b", "train"),
            NamedFile("test.csv", f"{BANKING}/test.csv", 239_961,
                      "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d", "test"),
        )),
    "california-housing": NamedSet(
        "districts of California: the median value of a house",
        20_640, "none stated", ("median_house_value",), (
            NamedFile("housing.csv", f"{GITHUB}/ageron/handson-ml2/master/datasets/housing/housing.csv", 1_423_529,
                      "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e"),
        )),
    "cifar10": NamedSet(
        "small colour pictures: which of 10 things?",
        60_000, "none stated", ("label",), (
            NamedFile("cifar-10-binary.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", 170_052_171,
                      "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        ), reader="cifar10"),
    "compas": NamedSet(
        "people arrested in Florida: is one arrested again within two years?",
        7_214, "none stated", ("two_year_recid",), (
            NamedFile("compas-scores-two-years.csv", f"{COMPAS}/compas-scores-two-years.csv", 2_546_489,
                      "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d"),
        )),
    "etth1": NamedSet(
        "an electricity transformer, hourly: its oil temperature",
        17_420, "CC BY-ND 4.0", ("OT",), (
            NamedFile("ETTh1.csv", f"{ETT}/ETTh1.csv", 2_589_657,
                      "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
        )),
    "ettm1": NamedSet(
        "an electricity transformer, each quarter of an hour: its oil temperature",
        69_680, "CC BY-ND 4.0", ("OT",), (
            NamedFile("ETTm1.csv", f"{ETT}/ETTm1.csv", 10_360_719,
                      "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
        )),
    "fashion-mnist": NamedSet(
        "small grey pictures of clothes: which of 10 sorts?",
        70_000, "MIT", ("label",), (
            NamedFile("train-images-idx3-ubyte.gz", f"{FASHION}/train-images-idx3-ubyte.gz", 26_421_880,
                      "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            NamedFile("train-labels-idx1-ubyte.gz", f"{FASHION}/train-labels-idx1-ubyte.gz", 29_515,
                      "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            NamedFile("t10k-images-idx3-ubyte.gz", f"{FASHION}/t10k-images-idx3-ubyte.gz", 4_422_102,
                      "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            NamedFile("t10k-labels-idx1-ubyte.gz", f"{FASHION}/t10k-labels-idx1-ubyte.gz", 5_148,
                      "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ), reader="idx-folder"),
    "german-credit": NamedSet(
        "people who ask for a loan: a good (1) or a bad (2) risk?",
        1_000, "CC BY 4.0", ("class",), (
            NamedFile("german.csv", f"{GITHUB}/jbrownlee/Datasets/master/german.csv", 79_793,
                      "ec12a88b9fc14d74ba646ea0410cf7ff4533bec2eb61652f8ad76796bbfec017"),
        ), options=_headerless(*CREDIT_COLUMNS)),
    "heart-disease": NamedSet(
        "patients of Cleveland: how narrow are their arteries, from 0 to 4?",
        303, "CC BY 4.0", ("num",), (
            NamedFile("cleveland.csv", f"{UCI}/heart-disease/processed.cleveland.data", 18_461,
                      "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8"),
        ), options=_headerless(*HEART_COLUMNS)),
    "mnist": NamedSet(
        "small grey pictures of handwritten digits: which digit?",
        70_000, "none stated", ("label",), (
            NamedFile("train-images-idx3-ubyte.gz", f"{MNIST}/train-images-idx3-ubyte.gz", 9_912_422,
                      "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            NamedFile("train-labels-idx1-ubyte.gz", f"{MNIST}/train-labels-idx1-ubyte.gz", 28_881,
                      "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            NamedFile("t10k-images-idx3-ubyte.gz", f"{MNIST}/t10k-images-idx3-ubyte.gz", 1_648_877,
                      "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            NamedFile("t10k-labels-idx1-ubyte.gz", f"{MNIST}/t10k-labels-idx1-ubyte.gz", 4_542,
                      "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ), reader="idx-folder"),
    "pima-diabetes": NamedSet(
        "women of the Pima: does one have diabetes? (zeros stand for missing values)",
        768, "none stated", ("Outcome",), (
            NamedFile("diabetes.csv", f"{GITHUB}/plotly/datasets/master/diabetes.csv", 23_873,
                      "698c203a14aa31941d2251175330c9199f3ccdb31597abbba2a3e35416257a72"),
        )),
    "sst2": NamedSet(
        "sentences of film reviews: positive (1) or negative (0)?",
        9_613, "none stated", ("label",), (
            NamedFile("train.tsv", f"{SST2}/train.tsv", 720_259,
                      "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920", "train"),
            NamedFile("dev.tsv", f"{SST2}/dev.tsv", 92_057,
                      "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359", "valid"),
            NamedFile("test.tsv", f"{SST2}/test.tsv", 188_749,
                      "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7", "test"),
        ), options=_headerless("sentence", "label")),
    "tiny-shakespeare": NamedSet(
        "plays of Shakespeare, as one text: what comes next?",
        1, "public domain", (), (
            NamedFile("tiny-shakespeare.txt", f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                      1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
        ), reader="text"),
    "titanic": NamedSet(
        "passengers of the Titanic: did one survive?",
        891, "none stated", ("Survived",), (
            NamedFile("titanic.csv", f"{GITHUB}/ageron/handson-ml2/master/datasets/titanic/train.csv", 61_904,
                      "14769fb1850e2d26d8e6db0ee49c213878040432827e39b13caaa15603c6598f"),
        )),
    "wine-quality-red": NamedSet(
        "red wines by their chemistry: how good are they, from 0 to 10?",
        1_599, "CC BY 4.0", ("quality",), (
            NamedFile("winequality-red.csv", f"{UCI}/wine-quality/winequality-red.csv", 84_199,
                      "4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e"),
        )),
    "wine-quality-white": NamedSet(
        "white wines by their chemistry: how good are they, from 0 to 10?",
        4_898, "CC BY 4.0", ("quality",), (
            NamedFile("winequality-white.csv", f"{UCI}/wine-quality/winequality-white.csv", 264_426,
                      "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836"),
        )),
}
# fmt: on


def folder_of_set(name: str) -> Path:
    """Where the files of a named set are, or will be."""
    return cache_directory() / "data" / name


def _options_of_set(name: str) -> Mapping[str, Option]:
    options: Mapping[str, Option] = READERS.get(NAMED[name].reader).options
    return options


@READERS.register("named", sets=NAMED, options=_options_of_set)
def read_named(name: str, **options: Any) -> Source:
    """Read a public data set by its name; it is downloaded the first time.

    Args:
        name: of the set.
        options: of the reader of its files, beside those that the set needs.

    Raises:
        SourceError: it cannot be downloaded; the message says which file to put where by hand.
    """
    named, folder = NAMED[name], folder_of_set(name)
    fetch(name, named.files, folder)
    source = _read_files(named, folder, {**named.options, **options})
    note = f"a public data set, kept in {folder}; its licence: {named.licence}"
    return replace(source, name=name, place=None, target=named.target, notes=(note, *source.notes))


def _read_files(named: NamedSet, folder: Path, options: Mapping[str, Any]) -> Source:
    """Read the files of each part, else the one file, else the folder."""
    parts = {part: [folder / file.name for file in named.files if file.part == part] for part in PARTS}
    if any(parts.values()):
        own = {file.name: file.options for file in named.files}
        return read_tables({part: files for part, files in parts.items() if files}, folder, options, own)
    place = folder / named.files[0].name if len(named.files) == 1 else folder
    return call_reader(READERS.get(named.reader), place, str(place), options)
