"""PromQL over the embedded samples: a subset of the language, answered as Prometheus answers it."""

from service.promql.evaluation import evaluate as evaluate
