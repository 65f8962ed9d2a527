"""What a tracker keeps: frozen selections, published snapshots, rigs, runs of tracking."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrtracker.files.bundles import Manifest
    from vrtracker.services.context import LabContext
    from vrtracker.services.rigs import RigService
    from vrtracker.services.selections import FrozenSessions, SelectionService
    from vrtracker.services.tracking import TrackingService


class Keeping:
    """The verbs of `Tracker` that hold fast what a paper rests on."""

    _lab: LabContext

    @cached_property
    def rigs(self) -> RigService:
        """Rigs by version, and which of them sessions used."""
        from vrtracker.services.rigs import RigService

        return RigService(self._lab)

    @cached_property
    def tracking(self) -> TrackingService:
        """Cells that were tracked over the sessions of a mouse."""
        from vrtracker.services.tracking import TrackingService

        return TrackingService(self._lab)

    @cached_property
    def _frozen(self) -> SelectionService:
        from vrtracker.services.selections import SelectionService

        return SelectionService(self._lab)

    def freeze(self, name: str, where: Any = None, /, **options: Any) -> FrozenSessions:
        """Keep which sessions pass the filters now, under a name; see `SelectionService.freeze`.

        Examples
        --------
        >>> tracker.freeze("fig2", "imaging and mouse.KO")
        The selection fig2.
          sessions  4
        ...
        """
        return self._frozen.freeze(name, where, **options)

    def selection(self, name: str) -> FrozenSessions:
        """Return a frozen selection: ``.frame(), .verify(), .export(path)``.

        Examples
        --------
        >>> frozen = tracker.freeze("fig2", "imaging and mouse.KO")
        >>> tracker.selection("fig2").frame()["sessionID"].tolist()
        [701, 701, 701, 702]
        """
        return self._frozen.get(name)

    def selections(self) -> list[FrozenSessions]:
        """Return all frozen selections, oldest first.

        Examples
        --------
        >>> frozen = tracker.freeze("fig2", "imaging")
        >>> [each.name for each in tracker.selections()]
        ['fig2']
        """
        return self._frozen.all()

    def delete_selection(self, name: str, *, reason: str | None = None) -> None:
        """Delete a frozen selection for good; the history keeps its name and hash.

        Examples
        --------
        >>> frozen = tracker.freeze("fig2", "imaging")
        >>> tracker.delete_selection("fig2", reason="the wrong mice")
        """
        self._frozen.delete(name, reason=reason)

    def rename_selection(self, name: str, new: str) -> FrozenSessions:
        """Give a frozen selection a `new` name.

        Examples
        --------
        >>> frozen = tracker.freeze("fig2", "imaging")
        >>> tracker.rename_selection("fig2", "fig3").name
        'fig3'
        """
        return self._frozen.rename(name, new)

    def import_selection(
        self, path: str | os.PathLike[str], *, name: str | None = None
    ) -> FrozenSessions:
        """Take in what ``selection.export`` wrote, also for another database of the lab.

        Examples
        --------
        >>> path = tracker.freeze("fig2", "imaging").export("fig2.json")
        >>> tracker.import_selection(path, name="theirs").name
        'theirs'
        """
        return self._frozen.read(path, name=name)

    def publish(
        self,
        name: str,
        folder: str | os.PathLike[str],
        where: Any = None,
        /,
        *,
        progress: Callable[[str, int, int], object] | None = None,
        **options: Any,
    ) -> Manifest:
        """Write the database, or a part, as files that never change; `SnapshotService.publish`.

        Examples
        --------
        >>> tracker.publish("open-data", "published", "imaging").sessions
        11
        >>> [version["name"] for version in vrtracker.snapshots.list_versions("published")]
        ['open-data']
        """
        from vrtracker.services.snapshots import SnapshotService

        service = SnapshotService(self._lab)
        return service.publish(name, folder, where, progress=progress, **options)
