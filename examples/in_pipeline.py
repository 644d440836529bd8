"""A network in scikit-learn: an estimator that tunes itself, in a pipeline and in cross-validation."""

from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

import tuner

x, y = load_breast_cancer(return_X_y=True, as_frame=True)

# Each fit runs a study: it searches on the rows that it is given and keeps the best trial's network.
network = tuner.TunedClassifier(trials=5, random_state=0, database="sqlite:///tuner.db")
areas = [name for name in x.columns if "area" in name]
evened = make_column_transformer((QuantileTransformer(n_quantiles=50), areas), remainder="passthrough")

for name, estimator in {
    "network": network,
    "network behind a pipeline": make_pipeline(evened, network),
    "boosted trees": HistGradientBoostingClassifier(random_state=0),
}.items():
    scores = cross_val_score(estimator, x, y, cv=3)
    print(f"{name}: accuracy {scores.mean():.3f} ± {scores.std():.3f}")

# The database keeps the studies of all fits.
print(tuner.studies()[["name", "best_value", "trials", "seconds"]])
