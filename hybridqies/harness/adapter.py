"""The three methods that lm-eval asks of a model. Importing this module needs lm-eval."""

from __future__ import annotations

from typing import Any

from lm_eval.api.model import LM

from hybridqies.harness.scorers import Scorer, join_pair, score_texts, write_until

_MOST_TOKENS = 64


class ScoredModel(LM):
    """lm-eval's view of a `Scorer`."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Of a continuation behind a context, for pairs of texts."""
        return score_texts(self.scorer, [join_pair(self.scorer, *request.args) for request in requests])

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """Of whole texts."""
        texts = [[self.scorer.prefix, *self.scorer.encode(request.args[0])] for request in requests]
        return [total for total, _ in score_texts(self.scorer, [(ids, 1) for ids in texts])]

    def generate_until(self, requests: list[Any]) -> list[str]:
        """The greedy continuation of contexts, up to a stop text."""
        return [self._write(*request.args) for request in requests]

    def _write(self, context: str, options: dict[str, Any]) -> str:
        stops = options.get("until") or []
        ids = self.scorer.encode(context) or [self.scorer.prefix]
        count = int(options.get("max_gen_toks", _MOST_TOKENS))
        return write_until(self.scorer, ids, [stops] if isinstance(stops, str) else stops, count)
