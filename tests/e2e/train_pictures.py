"""train_pictures.py GEMEL [SANITIZERS] - `gemel train --data`: what it leaves, and going on.

A training of 12 steps in one piece, and the same in pieces: by its number of steps, by Ctrl-C, by
fifty kills at any instant. All end with the same bits. Logs have every step once.

Exits 77 without Pillow.
"""
import json
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import checks
import pictures
from checks import check
from pictures import Gemel

STEPS = 12
KILLS = 50
FEW_KILLS = 8 # with sanitizers, where a step takes long
PASSED_ON = ("loss", "pos", "neg", "lr", "momentum", "grad_norm")
MONITORED = ("effective_rank", "mean_cosine", "between_images")


def check_whole(gemel: Gemel):
    """One piece: lines, manifest, both logs."""
    result = gemel.train("whole", "--steps", STEPS, "--monitor-every", 5, "--json")
    check("a training", result.returncode == 0, result.stderr)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    check("a line each step", [line["step"] for line in lines] == list(range(1, STEPS + 1)))
    check("epochs", [line["epoch"] for line in lines] == [(i // 5) for i in range(STEPS)])
    check("numbers", all(np.isfinite(line[name]) for line in lines for name in PASSED_ON))
    folder = gemel.folder / "whole"
    names = sorted(path.name for path in folder.iterdir())
    check("two checkpoints stay", names == [f"checkpoint-{step:09}.{end}" for step in (10, 12)
                                            for end in ("json", "safetensors")] +
          ["events.out.tfevents.gemel", "lock", "log.jsonl"], str(names))
    manifest = json.loads((folder / "checkpoint-000000012.json").read_text())
    check("the manifest", (manifest["step"], manifest["epoch"], manifest["batch"],
                           manifest["n_pictures"]) == (12, 2, 2, 20), str(manifest))
    logged = pictures.log_lines(folder)
    events = pictures.read_events(folder / "events.out.tfevents.gemel")
    check("TensorBoard's version", events[0].get("version") == "brain.Event:2")
    same = len(events) == STEPS + 1 and all(
        {**event, "time": 0} == {**{k: float(np.float32(v)) for k, v in line.items()},
                                 "step": line["step"], "time": 0}
        for event, line in zip(events[1:], logged))
    check("both logs say the same", same, str(events[-1]))
    steps = [line["step"] for line in logged if all(name in line for name in MONITORED)]
    check("the monitor's steps", steps == [5, 10, 12], str(steps))
    monitored = [line for line in logged if "effective_rank" in line]
    check("the monitor's ranges", all(1 <= line["effective_rank"] <= 8 and
                                      -1 <= line["mean_cosine"] <= 1 and
                                      0 <= line["between_images"] <= 1 for line in monitored),
          str(monitored[-1]))


def check_same(gemel: Gemel, name: str, run: str):
    """The run's last states are those of the training in one piece, and so are the logged
    numbers, but for time and the steps of the monitor, which looks at the end of a piece."""
    def bare(run):
        return [{key: line[key] for key in ("step", *PASSED_ON)}
                for line in pictures.log_lines(gemel.folder / run)]
    check(f"{name}: the same bits", gemel.states(run, STEPS) == gemel.states("whole", STEPS))
    check(f"{name}: each step is logged once", bare(run) == bare("whole"))
    events = pictures.read_events(gemel.folder / run / "events.out.tfevents.gemel")
    check(f"{name}: in both logs", [event["step"] for event in events] == list(range(STEPS + 1)))


def check_pieces(gemel: Gemel):
    gemel.train("pieces", "--steps", 7)
    result = gemel.train("pieces", "--steps", STEPS, "--resume", "--workers", 3, "--threads", 2)
    check("going on", "going on from" in result.stderr, result.stderr)
    check_same(gemel, "in pieces", "pieces")
    result = gemel.train("pieces", "--steps", STEPS, "--resume")
    check("nothing to do", result.returncode == 0 and not result.stdout and
          "all 12 steps are done" in result.stderr, result.stderr)
    result = gemel.train("pieces", "--steps", STEPS)
    check("without --resume", result.returncode == 2 and "has checkpoints" in result.stderr,
          result.stderr)


def check_interrupt(gemel: Gemel):
    """Ctrl-C behind the first line; then another training must not use the folder meanwhile."""
    process = gemel.start("interrupted", "--steps", 100000)
    line = process.stdout.readline()
    other = gemel.train("interrupted", "--steps", 100000, "--resume")
    check("one training a folder", other.returncode == 2 and
          "another training" in other.stderr, other.stderr)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    check("Ctrl-C", line.startswith("step 1 ") and process.returncode == -signal.SIGINT and
          "stopped after step" in said and "saved in" in said, said)
    at = int(said.split("stopped after step ")[1].split()[0])
    check("Ctrl-C saves", (gemel.folder / "interrupted" / f"checkpoint-{at:09}.json").exists())
    gemel.train("straight", "--steps", at + 2)
    gemel.train("interrupted", "--steps", at + 2, "--resume")
    check("Ctrl-C: the same bits", gemel.states("straight", at + 2) ==
          gemel.states("interrupted", at + 2))


def check_terminal(gemel: Gemel):
    """A bar with the rate and the time that is left, and no lines."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(gemel.command(*gemel.training("terminal", "--steps", STEPS)),
                               stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError: # the other side is closed
            break
    os.close(ours)
    check("a bar on a terminal", process.wait() == 0 and b" img/s  ETA 0:00:0" in shown and
          b"12/12 [####" in shown and b"step 1 " not in shown, repr(shown[-200:]))


def check_bench(gemel: Gemel):
    found = json.loads(gemel.call("bench", "--data", gemel.data, "--image-size", 32, "--batch", 5,
                                  "--seconds", 0.2, "--threads", 2, "--json"))
    check("bench --data", found["pictures"] >= 5 and found["pictures"] % 5 == 0 and
          found["bad"] == 0 and found["pictures_s"] > 0 and found["pictures_core_s"] > 0 and
          found["mb_s"] > 0, str(found))
    rate = found["pictures"] / found["seconds"]
    check("its rate", abs(found["pictures_s"] / rate - 1) < 1e-9)
    result = gemel.run("bench", "--data", gemel.data, "--image-size", 40, "--batch", 4)
    check("a size that patches do not divide", result.returncode == 2 and "patches" in
          result.stderr, result.stderr)


def check_classes(gemel: Gemel):
    """A plain classifier learns the classes of a folder, which are its pictures' brightness."""
    folder = gemel.folder / "classes"
    for label, level in (("bright", 200), ("dark", 50)):
        (folder / label).mkdir(parents=True)
        for i in range(8):
            pictures.Image.new("RGB", (12, 12), (level + i,) * 3).save(folder / label / f"{i}.png")
    model = pictures.save_linear(gemel.folder / "linear.onnx", (4, 3, 8, 8))
    lines = gemel.call("train", model, "--data", folder, "--run", gemel.folder / "linear",
                       "--loss", "cross-entropy", "--lr", "0.1", "--steps", 40, "--device", "ref",
                       "--log-every", 1, "--json")
    losses = [line["loss"] for line in map(json.loads, lines.splitlines()) if "loss" in line]
    check("classes are learnt", len(losses) == 40 and losses[-1] < 0.05 * max(losses[0], 0.7),
          f"{losses[0]} to {losses[-1]}")


def kill_at_random(process, folder, seconds: float) -> bool:
    """False when it ended before that."""
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
    return True


def kill_while_writing(process, folder, seconds: float) -> bool:
    """As soon as something half written is seen after that time."""
    begin = time.monotonic()
    while process.poll() is None:
        if time.monotonic() - begin > seconds and any(folder.glob("checkpoint-*.tmp")):
            process.kill()
            return True
        time.sleep(0.0005)
    return False


def check_kills(gemel: Gemel):
    """SIGKILL at random instants of trainings that save after every step, every third in the
    middle of a checkpoint; a training that gets to its end meanwhile is compared and the next
    begins."""
    rng = random.Random(11)
    kills = runs = in_writing = 0
    begin = time.monotonic()
    gemel.train("straight on", "--steps", STEPS, "--save-every", 1)
    whole = time.monotonic() - begin
    while kills < (FEW_KILLS if gemel.is_sanitized else KILLS):
        folder, runs = gemel.folder / f"killed{runs}", runs + 1
        for attempt in range(200):
            process = gemel.start(folder.name, "--steps", STEPS, "--resume", "--save-every", 1)
            kill = kill_while_writing if attempt % 3 == 0 else kill_at_random
            is_killed = kill(process, folder, rng.uniform(0, whole))
            _, said = process.communicate()
            if not is_killed:
                break
            kills += 1
            in_writing += any(folder.glob("checkpoint-*.tmp"))
        check(f"{folder.name} ends", process.returncode == 0, said if process.returncode else "")
        check_same(gemel, folder.name, folder.name)
    check("kills", in_writing > 0, f"{kills} in {runs} trainings, {in_writing} of them in a "
          f"checkpoint, {time.monotonic() - begin:.1f} s")
    left = [path.name for path in (gemel.folder / "killed0").iterdir()]
    check("nothing is left behind", not any(".tmp" in name for name in left), str(left))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        gemel = Gemel(sys.argv[1], folder, sys.argv[2] if len(sys.argv) > 2 else "")
        return checks.run((check_whole, check_pieces, check_interrupt, check_terminal, check_bench,
                           check_classes, check_kills), gemel)


if __name__ == "__main__":
    sys.exit(main())
