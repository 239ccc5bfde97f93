"""What `diagnose` returns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import fill
from typing import Any, overload

from sk_mlp._estimator.messages import counted


@dataclass(frozen=True)
class Finding:
    """Something that keeps a network from being as good as it could be.

    Parameters are attributes.

    Parameters
    ----------
    name : str
        What has been found, in one word or two, such as "overfitting": always the same for the same thing.
    message : str
        The same in a sentence, with the figures that it rests on.
    figures : mapping of str to float or str
        These figures by name, as they were compared.
    advice : str
        What to change, by the names of parameters.

    See Also
    --------
    diagnose : Finds them.

    Examples
    --------
    >>> from sk_mlp.inspection import Finding
    >>> Finding("plateau", "The loss has stood still for 30 epochs.", {"epochs": 30.0}, "Set lr_schedule='cosine'.")
    plateau: The loss has stood still for 30 epochs.
        Set lr_schedule='cosine'.
    """

    name: str
    message: str
    figures: Mapping[str, Any] = field(hash=False)
    advice: str

    def __repr__(self) -> str:
        indent = "    "
        return "\n".join(
            [
                fill(f"{self.name}: {self.message}", 100, subsequent_indent=indent),
                fill(self.advice, 100, initial_indent=indent, subsequent_indent=indent),
            ]
        )

    def _repr_html_(self) -> str:
        name, message, advice = (escape(text) for text in (self.name, self.message, self.advice))
        return f"<p><strong>{name}</strong>: {message}<br><em>{advice}</em></p>"


class Findings(Sequence[Finding]):
    """The findings of a diagnosis, the worst first. A sequence that prints well.

    Parameters
    ----------
    findings : iterable of Finding
        In the order in which they are to stand.
    looked_at : str
        What they rest on, such as "the histories of 8 networks".

    See Also
    --------
    diagnose : Makes them.

    Examples
    --------
    >>> from sk_mlp.inspection import Findings
    >>> Findings([], "the history of 1 network")
    Nothing found in the history of 1 network.
    """

    def __init__(self, findings: Iterable[Finding], looked_at: str) -> None:
        self._findings = tuple(findings)
        self.looked_at = looked_at

    @property
    def names(self) -> list[str]:
        """The findings' names."""
        return [finding.name for finding in self._findings]

    @overload
    def __getitem__(self, index: int) -> Finding: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...

    def __getitem__(self, index):
        return self._findings[index]

    def __len__(self) -> int:
        return len(self._findings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Findings) and self._findings == other._findings

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "\n".join([self._title, *map(repr, self._findings)])

    def _repr_html_(self) -> str:
        return "".join([f"<p>{escape(self._title)}</p>", *(finding._repr_html_() for finding in self._findings)])

    @property
    def _title(self) -> str:
        if not self._findings:
            return f"Nothing found in {self.looked_at}."
        return f"{counted(len(self), 'finding')} in {self.looked_at}:"
