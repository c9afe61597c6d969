"""The trainer `sklearn`: any classifier or regressor of scikit-learn by its class name.

`estimators` has scikit-learn's list, `options` the model of an estimator's parameters, `sources` and `files` the data
sets, `fitting` the training, `state` the fitted state as bytes; `trainer` implements the protocol with them. No module
imports scikit-learn or NumPy before it is needed.
"""
