"""A quantum kernel on a table of measurements, its bandwidth chosen by cross-validation."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, train_test_split

from hybridqies import QuantumHeadClassifier

X, y = load_iris(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = QuantumHeadClassifier("quantum-kernel", n_qubits=4, settings={"reduce": "columns"})
grid = {"settings__bandwidth": [0.1, 0.3], "settings__C": [1.0, 10.0]}
search = GridSearchCV(model, grid, cv=3).fit(X, y)
accuracy = search.score(X_test, y_test)
