"""How old a guest's answers are taken for, against what really happened."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aerostat.hypervisors.qmp.qemu_answers import Answers, Figures

STEP = st.sampled_from([0.05, 0.25, 0.7, 1.0, 3.0])


def figures(second: int, free: int = 1) -> Figures:
    return Figures(second, {4: free})


def test_what_was_there_before_has_no_age() -> None:
    answers = Answers(figures(100), 0.0, interval=None)
    assert answers.figures == {}
    assert answers.look_first
    assert not answers.note(figures(100), 1.0)
    assert answers.sampled_at is None


def test_an_answer_is_dated_by_its_question() -> None:
    answers = Answers(figures(100), 0.0, interval=None)
    answers.asked(5.0)
    assert (answers.answered, answers.look_first) == (False, True)
    assert answers.note(figures(105), 5.1)
    assert (answers.answered, answers.look_first) == (True, False)
    assert (answers.sampled_at, answers.figures) == (5.0, {4: 1})


def test_a_late_answer_is_dated_by_the_first_question() -> None:
    """QEMU cannot repeat a question that has not been answered."""
    answers = Answers(figures(100), 0.0, interval=None)
    answers.asked(5.0)
    answers.asked(6.0)
    answers.asked(7.0)
    assert answers.note(figures(107), 7.1)
    assert answers.sampled_at == 5.0
    answers.asked(8.0)
    assert answers.note(figures(108), 8.1)
    assert answers.sampled_at == 8.0


def test_the_same_figures_of_the_same_second_stay_as_old_as_they_are() -> None:
    answers = Answers(figures(100), 0.0, interval=None)
    answers.asked(5.0)
    answers.note(figures(105), 5.01)
    answers.asked(5.2)
    assert not answers.note(figures(105), 5.21)
    assert answers.sampled_at == 5.0


def test_a_buffer_that_is_read_again_after_a_pause_is_old() -> None:
    answers = Answers(figures(100), 0.0, interval=None)
    answers.asked(5.0)
    answers.note(figures(105), 5.01)
    answers.doubt()
    assert answers.look_first
    answers.note(figures(165), 65.0)  # the same figures, dated anew by QEMU
    assert answers.sampled_at == 5.0


def test_the_figures_of_a_machine_that_was_reset_are_forgotten() -> None:
    answers = Answers(figures(100), 0.0, interval=None)
    answers.asked(5.0)
    answers.note(figures(105), 5.01)
    answers.forget()
    assert (answers.sampled_at, answers.figures) == (None, {})
    assert not answers.note(figures(105), 6.0)
    answers.asked(6.0)
    assert answers.note(figures(107), 7.0)


def test_where_somebody_else_asks_too_their_question_may_have_been_first() -> None:
    answers = Answers(figures(100), 0.0, interval=2)
    answers.asked(1.0)
    answers.note(figures(101), 1.1)
    assert answers.look_first
    answers.asked(9.0)
    answers.note(figures(110), 9.5)
    assert answers.sampled_at == 3.1


@given(st.lists(st.tuples(STEP, STEP, st.booleans()), min_size=1, max_size=12))
def test_no_answer_is_taken_for_younger_than_it_is(
    rounds: list[tuple[float, float, bool]],
) -> None:
    """A guest that takes its time, sampled at any distance: it collects when it answers."""
    answers = Answers(figures(0), 0.0, interval=None)
    qemu: dict[str, Any] = {"figures": figures(0), "made": 0.0, "due": None}
    now = 0.0

    def pass_time(until: float) -> None:
        due = qemu["due"]
        if due is not None and due <= until:
            # At worst it had collected right after it was asked.
            qemu.update(figures=figures(int(due) + 1), made=qemu["asked"], due=None)

    for wait, delay, patient in rounds:
        now += wait
        pass_time(now)
        if answers.look_first:
            answers.note(qemu["figures"], now)
        answers.asked(now)
        if qemu["due"] is None:
            qemu.update(asked=now, due=now + delay)
        if patient:
            now += delay
            pass_time(now)
            answers.note(qemu["figures"], now)
        if answers.sampled_at is not None:
            assert answers.sampled_at <= qemu["made"] + 1e-9
