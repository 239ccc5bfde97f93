"""Many runs at once: cohorts of one structure each, by threads that share the work."""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np

from sk_mlp.engine.padded_widths import family, merged, widest
from sk_mlp.engine.population import CompiledPopulation, DeviceRows
from sk_mlp.engine.recipe import Recipe
from sk_mlp.engine.run import Run
from sk_mlp.engine.train import train

# A step that is mapped over members starts its small kernels once for all of them, which saves some 8 us a step and
# member. But it takes 1.5 s longer to compile, and a second program, of one member for the last runs, takes 1 s more.
# For larger networks it saves nothing: their time goes into matrix products.
MAPPED_SLOTS = 16
MOST_SLOTS = 128  # for so many runs that empty slots at the end matter little: a quarter faster than 16
MAPPED_WEIGHTS = 6_000  # of a network, at most
MAPPED_STEPS = 250_000  # of all its members, at least
Report = Callable[[Run], None]

IDLE_SECONDS = 1.0  # what the other program costs to compile: so never more than twice the best time


class Cohort:
    """Runs whose members one compiled program can train.

    Parameters
    ----------
    recipe : Recipe
    runs : list of Run
    share : float, default=1
        Of the epochs that they may have, expected to be run.

    Attributes
    ----------
    error : Exception or None
        Why the runs could not be trained: their program cannot be compiled, or code of the user's has raised it.
    n_slots : int
        Members of the program that is to train the runs that wait: many, or one.
    """

    def __init__(self, recipe: Recipe, runs: list[Run], share: float = 1.0):
        self.recipe, self.runs = recipe, runs
        self.error: Exception | None = None
        self.n_threads = 0
        n_steps = share * sum(len(run.member.train) * run.member.epochs for run in runs) / recipe.batch_size
        is_mapped = recipe.blueprint.n_weights <= MAPPED_WEIGHTS and n_steps >= MAPPED_STEPS
        wanted = min(max(MAPPED_SLOTS, -(-len(runs) // 4)), MOST_SLOTS)
        self.n_slots = min(wanted, -(-len(runs) // 2)) if is_mapped else 1  # half: another thread may take the rest
        self._data: DeviceRows | None = None
        self._waiting: deque[Run] = deque()
        self._lock = threading.Lock()

    @property
    def n_waiting(self) -> int:
        """Runs that no thread has begun."""
        return 0 if self.error else len(self._waiting)

    def queue(self, chosen: Set[Run]) -> None:
        """Let the chosen runs wait, but for those that are done."""
        self._waiting = deque(run for run in self.runs if run in chosen and not run.is_done)

    def reserve(self, n: int) -> list[Run]:
        """Take the first n runs that wait."""
        return [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]

    def train(self, reserved: list[Run], report: Report, ended: Report | None) -> None:
        """Train the reserved runs, and others as long as some wait."""
        with self._lock:
            self._data = self._data or DeviceRows(self.recipe, [run.member for run in self.runs])
        try:
            n_slots, idle_limit = self.n_slots, IDLE_SECONDS if self.n_slots > 1 else np.inf
            population = CompiledPopulation(self.recipe, self._data, self.runs[0].member.hyper, n_slots)
            entered: list[Run] = []
            runs = self._take(reserved, entered)
            train(population, runs, report=report, idle_limit=idle_limit, ended=ended)
        except Exception as error:
            self.error = error
        else:
            left = [run for run in entered if not run.is_done]
            if left:  # too few for a program of many members
                self.n_slots = 1
                self._waiting.extend(left)

    def _take(self, reserved: list[Run], entered: list[Run]) -> Iterator[Run]:
        while reserved or self._waiting:
            try:
                entered.append(reserved.pop(0) if reserved else self._waiting.popleft())
            except IndexError:  # another thread has taken the last one
                return
            yield entered[-1]


def cohorts_of(runs: list[Run], share: float = 1.0) -> list[Cohort]:
    """Sort runs into cohorts; ``share`` is the part of their epochs that is expected to be run."""
    families: dict[Hashable, dict[Hashable, list[Run]]] = {}
    for run in runs:
        groups = families.setdefault((family(run.recipe), run.recipe.shuffle, tuple(run.member.hyper)), {})
        groups.setdefault(run.recipe.key, []).append(run)
    return [
        Cohort(widest([run.recipe for run in together]), together, share)
        for groups in families.values()
        for together in merged(list(groups.values()), share)
    ]


class _Aborted(BaseException):
    """Raised in the other threads when one has failed or the user has interrupted."""


class _OfCaller(BaseException):
    """Carries an error of the caller's own function through the engine, which would take it for a cohort's."""

    def __init__(self, error: Exception):
        super().__init__(error)
        self.error = error


def _carried(call: Report) -> Report:
    def carrying(run: Run) -> None:
        try:
            call(run)
        except Exception as error:
            raise _OfCaller(error) from None

    return carrying


def train_cohorts(
    cohorts: list[Cohort],
    chosen: Set[Run] | None = None,
    report: Report | None = None,
    ended: Report | None = None,
    n_threads: int | None = None,
) -> None:
    """Train all runs until each has stopped, or has come to where it pauses.

    A small program keeps one core busy, so several threads run one each. Where a cohort cannot be compiled, or the
    user's code raises an error within it, its ``error`` is set.

    Parameters
    ----------
    cohorts : list of Cohort
    chosen : set of Run or None
        Those to train; None for all.
    report : callable (run) or None
        Called after every epoch of a run, by one thread at a time.
    ended : callable (run) or None
        Called when a run is done, with its states.
    n_threads : int or None
        None for the number of cores.
    """
    n_threads = n_threads or joblib.cpu_count()
    change, aborted = threading.Condition(), threading.Event()
    report, ended = (call and _carried(call) for call in (report, ended))
    for cohort in cohorts:
        cohort.queue(set(cohort.runs) if chosen is None else chosen)

    def report_to_user(run: Run) -> None:
        if aborted.is_set():
            raise _Aborted
        if report:
            with change:
                report(run)

    def next_work() -> tuple[Cohort, list[Run]] | None:
        with change:
            while not (waiting := [cohort for cohort in cohorts if cohort.n_waiting]):
                if not any(cohort.n_threads for cohort in cohorts):
                    return None
                change.wait()  # runs may come back from a program that is too large for them
            if aborted.is_set():
                return None
            cohort = max(waiting, key=lambda cohort: cohort.n_waiting / (1 + cohort.n_threads))
            n_helpers = max(1, n_threads - sum(c.n_threads for c in cohorts) - len(waiting) + 1)
            cohort.n_threads += 1
            return cohort, cohort.reserve(min(cohort.n_slots, -(-cohort.n_waiting // n_helpers)))

    def work() -> None:
        while found := next_work():
            cohort, reserved = found
            try:
                cohort.train(reserved, report_to_user, ended)
            except _Aborted:
                return
            except BaseException:
                aborted.set()
                raise
            finally:
                with change:
                    cohort.n_threads -= 1
                    change.notify_all()

    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for future in [pool.submit(work) for _ in range(n_threads)]:
                future.result()
        except _OfCaller as carrier:
            aborted.set()
            raise carrier.error from carrier.error.__cause__
        except BaseException:
            aborted.set()
            raise
