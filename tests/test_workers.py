"""Worker processes do what would be done on the spot, and end with the process that started them."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

import beyondcam as bc
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import mapper, workers
from beyondcam.evidence.workers import Job, Refined, Workers
from beyondcam.recipes import Item, RawMaps
from conftest import complaint, make_folder
from networks import photo


def touch(path: Path) -> None:
    path.write_text(str(os.getpid()))


def fail() -> None:
    raise BeyondcamError("evidence.png: could not be written (No space left on device)")


def die() -> None:
    os._exit(9)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """This process has two, workers have one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_evidence_has_the_same_bytes_whoever_refines_it(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    monkeypatch.setattr(mapper, "Workers", lambda count: started.append(count) or Workers(count))
    classifier, cookbook = bc.load_classifier(trained[0]), bc.Cookbook()
    names = ("cam", "saliency+smooth+superpixels", "crops+resolve", "cam+walk+affinity")
    recipes = {name: cookbook.recipe(name) for name in names}
    images = bc.open_images(f"folder:{make_folder(tmp_path / 'discs', 20)}", "all")
    files = []
    for count in (0, 2):
        out = tmp_path / str(count)
        out.mkdir()
        (out / "classifier.safetensors").write_bytes((trained[0] / "classifier.safetensors").read_bytes())
        assert bc.map_split(classifier, images, recipes, out, workers=count) == {}
        files.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")})
    assert started == [0, 2]
    assert len(files[0]) == len(recipes) * len(images.ids)
    assert files[0] == files[1]


def test_maps_on_a_gpu_are_refined_there_and_only_their_evidence_goes_to_a_worker(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that is only taken for a GPU."""
    classifier, cookbook = bc.load_classifier(trained[0]), bc.Cookbook()
    recipes = {name: cookbook.recipe(name) for name in ("cam+walk", "cam+superpixels", "cam+affinity")}
    images = bc.open_images(f"folder:{make_folder(tmp_path / 'discs', 2)}", "all")
    submitted: list[object] = []
    monkeypatch.setattr(Workers, "submit", lambda self, job: (submitted.append(job), job()))
    files = []
    for here in (False, True):
        monkeypatch.setattr(workers, "stays", lambda raw, here=here: here)
        assert bc.map_split(classifier, images, recipes, tmp_path / str(here)) == {}
        out = tmp_path / str(here)
        files.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")})
    assert len(files[0]) == len(recipes) * len(images.ids)
    assert files[0] == files[1]
    whole, parts = submitted[: len(images.ids)], submitted[len(images.ids) :]
    assert [type(job) for job in whole] == [Job] * len(images.ids)
    assert [type(job) for job in parts] == [Refined, Job] * len(images.ids)
    assert all(
        [shelf.name for shelf, *_ in job.outputs] == ["cam+walk", "cam+affinity"] for job in parts[::2]
    )
    assert all([shelf.name for _, shelf in job.recipes] == ["cam+superpixels"] for job in parts[1::2])


def test_maps_that_a_gpu_has_no_room_to_refine_come_back_and_are_refined_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(job: Job) -> Refined:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(workers, "stays", lambda raw: True)
    monkeypatch.setattr(Job, "refined", full)
    recipes = [(bc.Cookbook().recipe("cam+walk"), None), (bc.Cookbook().recipe("cam+superpixels"), None)]
    (job,) = Job(Item("a", photo(), (0,)), RawMaps(False), recipes).parts()
    assert isinstance(job, Job)
    assert job.recipes == recipes


def wait_for(path: Path) -> None:
    wait_until(path.exists)


def test_jobs_are_done_elsewhere_but_for_those_that_would_wait(tmp_path: Path) -> None:
    own, go = os.getpid(), tmp_path / "go"
    count = workers.WAITING + 2
    with Workers(1) as pool:
        pool.submit(partial(touch, tmp_path / "elsewhere"))
        wait_for(tmp_path / "elsewhere")
        pool.submit(partial(wait_for, go))  # the process is held up
        for n in range(count):
            pool.submit(partial(touch, tmp_path / str(n)))
            assert len(pool.waiting) <= workers.WAITING
        full = [n for n in range(count) if (tmp_path / str(n)).exists()]
        assert full == list(range(workers.WAITING - 1, count))
        go.touch()
    done = {n: int((tmp_path / str(n)).read_text()) for n in range(count)}
    assert all(done[n] == own for n in full)
    assert int((tmp_path / "elsewhere").read_text()) != own


def test_what_no_process_has_begun_is_done_on_the_spot_at_the_end(tmp_path: Path) -> None:
    with Workers(1) as pool:
        for n in range(4):
            pool.submit(partial(time.sleep, 2) if n < 2 else partial(touch, tmp_path / str(n)))
    done = {n: int((tmp_path / str(n)).read_text()) for n in (2, 3)}
    assert done[3] == os.getpid()


def test_processes_are_started_once_before_any_job() -> None:
    before = len(multiprocessing.active_children())
    with Workers(2) as pool:
        assert len(multiprocessing.active_children()) == before
        for _ in range(3):
            pool.start()
        assert len(multiprocessing.active_children()) == before + 2
    assert len(multiprocessing.active_children()) == before


def test_what_a_job_raises_is_raised_here() -> None:
    def run() -> None:
        with Workers(1) as pool:
            pool.submit(fail)

    complaint(run, "evidence.png", "No space left")


def test_worker_that_dies_is_one_line_that_says_what_to_do() -> None:
    def run() -> None:
        with Workers(1) as pool:
            pool.submit(die)
            future, _ = pool.waiting[0]
            wait_until(lambda: future.running() or future.done())

    def run_on() -> None:
        with Workers(1) as pool:
            pool.submit(die)
            wait_until(pool.waiting[0][0].done)
            pool.submit(fail)

    for call in (run, run_on):
        complaint(call, "workers: ", "process died")


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(f"""
import sys, time
from functools import partial
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_workers import touch
from {workers.__name__} import Workers

if __name__ == "__main__":
    with Workers(1) as pool:
        pool.submit(partial(touch, Path({str(tmp_path / "pid")!r})))
        time.sleep(600)
""")
    main = subprocess.Popen([sys.executable, str(script)])
    wait_until((tmp_path / "pid").exists)
    time.sleep(0.1)
    worker = int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{worker}").exists()
    main.kill()
    main.wait()
    wait_until(lambda: not Path(f"/proc/{worker}").exists())


def wait_until(true: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.05)
