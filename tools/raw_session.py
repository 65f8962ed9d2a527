"""A small recording as a rig leaves it: Timeline, vrControl's behavior, suite2p's output.

A mouse runs down a corridor of 200 cm, licks near the reward and is imaged in two planes; the
numbers are made up, their sizes, units and clocks are those of a rig. It is what B2Registration of
vrAnalysis reads; SciPy writes the .mat files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import io, ndimage, sparse

__all__ = ["Recording"]

RATE_HZ = 1000  # of Timeline
SCREEN_HZ = 30  # samples of the virtual reality
VOLUME_HZ = 6
FLIP_S = 0.1  # between flips of the screen's sync square
FIRST_S, TRIAL_S, PAUSE_S = 2.0, 6.0, 1.5
CORRIDOR_CM, REWARD_CM, ZONE_CM = 200.0, 150.0, 15.0
BEHAVIOR_CLOCK_S = 1234.5  # the behavior's computer has a clock of its own
COUNTS, RADIUS_CM, WRAPS_AT = 4000, 9.75, 2**32
PIXELS = 128
CELL_PX = 5
PULSE_S = 0.05


@dataclass(frozen=True)
class Recording:
    """One session; the same seed makes the same bytes."""

    seed: int = 0
    trials: int = 5
    planes: int = 2
    rois: int = 6
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def write(self, folder: Path, *, imaging: bool = True) -> None:
        """Write the files into a session's folder, ``…/mouse/date/number``."""
        folder.mkdir(parents=True)
        mouse, date, number = folder.parts[-3:]
        name = f"{date}_{number}_{mouse}"
        timeline = self._timeline((mouse, date.replace("-", ""), number))
        io.savemat(folder / f"{name}_Timeline.mat", {"Timeline": timeline})
        io.savemat(folder / f"{name}_VRBehavior_trial.mat", self._behavior())
        if imaging:
            for plane in range(self.planes):
                self._write_suite2p(folder / "suite2p" / f"plane{plane}")

    # -- the mouse ----------------------------------------------------------------------------

    @property
    def starts(self) -> np.ndarray:
        """Times at which the trials start, s of Timeline."""
        return FIRST_S + np.arange(self.trials) * (TRIAL_S + PAUSE_S)

    @property
    def times(self) -> np.ndarray:
        """Timeline's clock, s."""
        end = self.starts[-1] + TRIAL_S + FIRST_S
        return np.arange(round(end * RATE_HZ)) / RATE_HZ

    def position(self, since_start: np.ndarray) -> np.ndarray:
        """Position in the corridor, cm: it starts and ends slowly."""
        part = np.clip(since_start / TRIAL_S, 0, 1)
        return CORRIDOR_CM * (1 - np.cos(np.pi * part)) / 2

    @property
    def reward_s(self) -> float:
        """Time from the start of a trial to the reward."""
        return float(TRIAL_S * np.arccos(1 - 2 * REWARD_CM / CORRIDOR_CM) / np.pi)

    @property
    def licks(self) -> np.ndarray:
        """Times of licks from the start of a trial, s: a bout at 7 Hz around the reward."""
        return self.reward_s + np.arange(-2, 5) / 7

    # -- Timeline -----------------------------------------------------------------------------

    def _timeline(self, session: tuple[str, str, str]) -> dict[str, Any]:
        inputs = {
            "rotaryEncoder": self._encoder(),
            "lickDetector": self._counter(self.licks),
            "rewardCommand": self._pulses(),
            "photoDiode": self._photodiode(),
            "neuralFrames": self._frames(),
        }
        hardware = np.array([(name,) for name in inputs], dtype=[("name", object)])
        events = [("ExpStart", 0.5)]
        for trial, start in enumerate(self.starts, start=1):
            events += [(f"TrialStart {trial}", start), (f"TrialEnd {trial}", start + TRIAL_S)]
        words = [f"{event} {' '.join(session)}" for event, _ in events]
        return {
            "rawDAQTimestamps": self.times,
            "rawDAQData": np.stack(list(inputs.values()), axis=1),
            "hw": {"inputs": hardware},
            "mpepUDPTimes": np.array([time for _, time in events]),
            "mpepUDPEvents": np.array(words, dtype=object),
        }

    def _encoder(self) -> np.ndarray:
        """Count the wheel backwards, as it is mounted, through the end of a counter of 32 bit."""
        run = sum(self.position(self.times - start) for start in self.starts)
        counts = np.round(np.asarray(run) * COUNTS / (2 * np.pi * RADIUS_CM))
        return (2000 - counts) % WRAPS_AT

    def _counter(self, within_trial: np.ndarray) -> np.ndarray:
        events = (self.starts[:, None] + within_trial).ravel()
        return np.searchsorted(np.sort(events), self.times, side="right").astype(float)

    def _pulses(self) -> np.ndarray:
        since = self.times[:, None] - (self.starts + self.reward_s)
        return 5.0 * np.any((since >= 0) & (since < PULSE_S), axis=1)

    def _photodiode(self) -> np.ndarray:
        """Return the sync square: bright between trials, first dark 50 ms after a start."""
        signal = np.ones_like(self.times)
        for start in self.starts:
            flips = np.floor((self.times - start - 0.05) / FLIP_S)
            during = (flips >= 0) & (flips < round((TRIAL_S - 0.2) / FLIP_S))
            signal[during] = flips[during] % 2
        drift = 0.05 * np.sin(2 * np.pi * self.times / self.times[-1])
        blurred = ndimage.uniform_filter1d(signal, size=5)
        return 0.5 + 2 * blurred + drift + self.rng.normal(0, 0.01, len(signal))

    def _frames(self) -> np.ndarray:
        """Count the frames of the microscope, which runs from 1 s to the end."""
        counted = np.floor((self.times - 1.0) * VOLUME_HZ * self.planes) + 1
        return np.clip(counted, 0, self.volumes * self.planes)

    @property
    def volumes(self) -> int:
        """Volumes that were imaged."""
        return int((self.times[-1] - 1.5) * VOLUME_HZ)

    # -- vrControl ----------------------------------------------------------------------------

    def _behavior(self) -> dict[str, Any]:
        """Return its structures: rows of more trials than were run, sparse where it saves."""
        planned, samples = self.trials + 3, round(TRIAL_S * SCREEN_HZ)
        since = np.arange(samples) / SCREEN_HZ
        time = np.zeros((planned, samples + 20))
        place, licks = np.zeros_like(time), np.zeros(time.shape, dtype=np.uint8)
        for trial, start in enumerate(self.starts):
            time[trial, :samples] = BEHAVIOR_CLOCK_S + start + since
            place[trial, :samples] = 1 + self.position(since)
            licks[trial, np.round(self.licks * SCREEN_HZ).astype(int)] = 1
        run = (np.arange(planned) < self.trials).astype(float)
        frame = np.round(self.reward_s * SCREEN_HZ) + 1
        trial_info = {
            "time": sparse.csc_matrix(time),
            "roomPosition": sparse.csc_matrix(place),
            "lick": sparse.csc_matrix(licks),
            "vrEnvIdx": run * (1 + np.arange(planned) % 2),
            "rewardPosition": run * REWARD_CM,
            "rewardTolerance": run * ZONE_CM,
            "rewardAvailable": run,
            "rewardDeliveryFrame": run * frame,
            "activeLicking": run,
            "activeStopping": np.zeros(planned),
        }
        return {
            "trialInfo": trial_info,
            "expInfo": {
                "roomLength": np.full(planned, CORRIDOR_CM),
                "mvmtGain": np.ones(planned),
            },
            "rigInfo": {
                "computerName": "RIG",
                "rotEncPos": "left",
                "rotEncSign": -1.0,
                "wheelToVR": float(COUNTS),
                "wheelRadius": RADIUS_CM,
                "rotaryRange": 32.0,
            },
        }

    # -- suite2p ------------------------------------------------------------------------------

    def _write_suite2p(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        volumes, rois, rng = self.volumes, self.rois, self.rng
        when = 1.0 + np.arange(volumes) / VOLUME_HZ
        where = sum(self.position(when - start) * (when > start) for start in self.starts)
        fields = rng.uniform(20, 180, rois)
        rate = np.exp(-((np.asarray(where) % CORRIDOR_CM - fields[:, None]) ** 2) / (2 * 12.0**2))
        spikes = rng.poisson(0.8 * rate).astype(np.float32)
        decay = np.exp(-np.arange(40) / (1.5 * VOLUME_HZ))
        calcium = np.apply_along_axis(lambda row: np.convolve(row, decay)[:volumes], 1, spikes)
        neuropil = 60 + 5 * ndimage.gaussian_filter1d(rng.normal(size=(rois, volumes)), 3)
        noise = rng.normal(0, 4, (rois, volumes))
        stat = [_roi(*rng.uniform(20, PIXELS - 20, 2)) for _ in range(rois)]
        red = rng.normal(100, 10, (PIXELS, PIXELS))
        for roi in stat[::2]:
            red[roi["ypix"], roi["xpix"]] += 200 * roi["lam"] / roi["lam"].max()
        is_red = (np.arange(rois) % 2 == 0).astype(np.float32)
        arrays: dict[str, Any] = {
            "F": (200 + 80 * calcium + 0.7 * neuropil + noise).astype(np.float32),
            "Fneu": neuropil.astype(np.float32),
            "spks": spikes,
            "iscell": np.stack([np.ones(rois), rng.uniform(0.6, 1, rois)], axis=1),
            "redcell": np.stack([is_red, 0.3 + 0.5 * is_red], axis=1).astype(np.float32),
            "stat": np.array(stat, dtype=object),
            "ops": {
                "Ly": PIXELS,
                "Lx": PIXELS,
                "fs": float(VOLUME_HZ),
                "nframes": volumes,
                "meanImg": rng.normal(200, 20, (PIXELS, PIXELS)).astype(np.float32),
                "meanImg_chan2": red.astype(np.float32),
            },
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=True)


def _roi(y: float, x: float) -> dict[str, Any]:
    """Return a round cell of suite2p: its pixels, and how much each is of it."""
    ys, xs = np.mgrid[-CELL_PX : CELL_PX + 1, -CELL_PX : CELL_PX + 1]
    far = np.hypot(ys, xs)
    inside = far <= CELL_PX
    return {
        "ypix": (ys[inside] + int(y)).astype(np.int32),
        "xpix": (xs[inside] + int(x)).astype(np.int32),
        "lam": np.exp(-far[inside] / 4).astype(np.float32),
        "med": (int(y), int(x)),
        "radius": float(CELL_PX),
    }
