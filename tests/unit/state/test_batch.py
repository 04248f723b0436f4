"""What is said of a batch: one job is not many."""

from __future__ import annotations

import pytest

from lxc_dashboard import text
from lxc_dashboard.services.creation.batch_views import Outcome
from lxc_dashboard.state.batch import cancel_title, told_of


@pytest.mark.parametrize(
    ("running", "title"),
    [
        (1, "Cancel the creation of 1 container of web-{1..4}?"),
        (2, "Cancel the creation of 2 containers of web-{1..4}?"),
    ],
)
def test_the_question_counts_what_would_be_cancelled(running: int, title: str) -> None:
    assert cancel_title(running, "web-{1..4}") == title


@pytest.mark.parametrize(
    ("done", "sentence", "noun", "said"),
    [
        (("web-1",), text.BATCH_CANCELLED, "job", "Asked 1 job to stop"),
        (("web-1", "web-2"), text.BATCH_CANCELLED, "job", "Asked 2 jobs to stop"),
        (("web-1",), text.BATCH_RETRIED, "failed job", "Queued 1 failed job again"),
        (("web-1", "web-2"), text.BATCH_RETRIED, "failed job", "Queued 2 failed jobs again"),
    ],
)
def test_the_answer_counts_what_was_done(done: tuple[str, ...], sentence: str, noun: str, said: str) -> None:
    (told,) = told_of(Outcome(done=done), sentence, noun)
    assert said in repr(told)
