"""What suite2p found, as NWB keeps it: ROIs by their pixels, and their traces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vrtracker.errors import VrtrackerError
from vrtracker.files.alf import load
from vrtracker.files.layout import SUITE2P
from vrtracker.files.planes import planes_of, read_rate
from vrtracker.files.suite2p_settings import read_rois
from vrtracker.files.trees import reason_of, status_of
from vrtracker.interop.nwb.arrays import Series, timing_of

_TRACES = {"F": "Fluorescence", "Fneu": "Neuropil", "spks": "Deconvolved"}
_UNKNOWN = "unknown"


def add_suite2p(file: Any, folder: Path, series: list[Series]) -> tuple[int, list[tuple[str, str]]]:
    """Add the planes of a session's suite2p output; return how many, and what is left out.

    The times are those of ``mpci`` where they are as many as the frames, else suite2p's rate.
    """
    left_out: list[tuple[str, str]] = []
    times = next((each.times.data for each in series if each.times.name.object == "mpci"), None)
    ophys = _Ophys(file, times)
    added = 0
    for plane, _ in planes_of(folder).values():
        name = f"{SUITE2P}/{plane.name}"
        try:
            ophys.add(plane)
            added += 1
        except VrtrackerError as error:
            left_out.append((name, str(error)))
        except OSError as error:
            left_out.append((name, reason_of(error)))
        except (ValueError, TypeError, IndexError) as error:
            left_out.append((name, f"its files do not fit each other ({error})"))
    return added, left_out


class _Ophys:
    """The parts of a file that all planes share, made when the first plane is read."""

    def __init__(self, file: Any, times: Any) -> None:
        self._file = file
        self._times = times
        self._parts: dict[str, Any] = {}

    def add(self, plane: Path) -> None:
        """Add one plane: its files are read before anything is added."""
        rois = read_rois(plane / "stat.npy")
        traces: dict[str, Any] = {
            n: load(plane / f"{n}.npy") for n in _TRACES if status_of(plane / f"{n}.npy")
        }
        for name, data in traces.items():
            if data.ndim != 2 or len(data) != len(rois):  # noqa: PLR2004
                raise ValueError(f"{name}.npy is of {data.shape}, and there are {len(rois)} ROIs")
        iscell: Any = load(plane / "iscell.npy") if status_of(plane / "iscell.npy") else None
        rate = read_rate(plane)
        timing = {name: self._timing(data.shape[1], rate) for name, data in traces.items()}
        segmentation = self._segmentation(plane.name, rois, iscell, rate)
        if not rois:
            return
        region = segmentation.create_roi_table_region(
            description="all ROIs", region=list(range(len(rois)))
        )
        for name, data in traces.items():
            self._part(_TRACES[name], "Fluorescence").create_roi_response_series(
                name=plane.name,
                data=data.T,
                rois=region,
                unit="a.u.",
                description=f"{name} of suite2p",
                **timing[name],
            )

    def _timing(self, frames: int, rate: float | None) -> dict[str, Any]:
        if self._times is not None and len(self._times) == frames:
            return timing_of(self._times)
        if rate is None:
            raise ValueError("neither mpci.times nor suite2p's settings tell when its frames are")
        return {"rate": rate, "starting_time": 0.0}

    def _segmentation(
        self, name: str, rois: list[dict[str, Any]], iscell: Any, rate: float | None
    ) -> Any:
        made = self._part("ImageSegmentation").create_plane_segmentation(
            name=name, description="ROIs of suite2p", imaging_plane=self._plane(name, rate)
        )
        for each in rois:
            pixels = zip(each["xpix"], each["ypix"], each["lam"], strict=True)
            made.add_roi(pixel_mask=[(int(x), int(y), float(weight)) for x, y, weight in pixels])
        if iscell is not None and len(iscell) == len(rois) and len(rois):
            made.add_column(
                name="iscell", description="1: a cell, as it was curated", data=iscell[:, 0]
            )
            made.add_column(
                name="probability", description="of a cell, by suite2p", data=iscell[:, 1]
            )
        return made

    def _plane(self, name: str, rate: float | None) -> Any:
        from pynwb.ophys import OpticalChannel

        nan = float("nan")
        if "device" not in self._parts:
            there = self._file.devices.get("microscope")  # A rig may be called so.
            self._parts["device"] = there or self._file.create_device(
                name="microscope", description="two-photon microscope"
            )
        return self._file.create_imaging_plane(
            name=name,
            description="imaging plane",
            optical_channel=OpticalChannel(
                name="channel", description="not recorded", emission_lambda=nan
            ),
            device=self._parts["device"],
            excitation_lambda=nan,
            indicator=_UNKNOWN,
            location=_UNKNOWN,
            **({} if rate is None else {"imaging_rate": rate}),
        )

    def _part(self, name: str, kind: str | None = None) -> Any:
        import pynwb.ophys

        if name not in self._parts:
            if "module" not in self._parts:
                self._parts["module"] = self._file.create_processing_module(
                    name="ophys", description="what suite2p found"
                )
            part = getattr(pynwb.ophys, kind or name)(name=name)
            self._parts["module"].add(part)
            self._parts[name] = part
        return self._parts[name]
