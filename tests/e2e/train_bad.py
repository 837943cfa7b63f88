"""train_bad.py GEMEL [SANITIZERS] - `gemel train --data` where things go wrong: damaged pictures
and files that vanish, full disks, damaged checkpoints, numbers that are none, wrong graphs,
options and folders. Each is named; no good checkpoint is lost.

Exits 77 without Pillow.
"""
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
import pictures
from checks import check
from pictures import Gemel

STEPS = 10


def expect(name: str, result, status: int, *words: str):
    check(name, result.returncode == status and all(word in result.stderr for word in words),
          f"status {result.returncode}: {result.stderr}")


# ---- pictures --------------------------------------------------------------------------------

def damaged_copy(gemel: Gemel, name: str, *damaged: str) -> Path:
    """The folder of pictures with some of them cut short."""
    folder = gemel.folder / name
    shutil.copytree(gemel.data, folder)
    for picture in damaged:
        path = folder / picture
        path.write_bytes(path.read_bytes()[:200])
    return folder


def check_corrupt(gemel: Gemel):
    """Two epochs and a half with two bad pictures of twenty: each is named once and counted in
    every epoch; a limit of two an epoch is enough, one is not, and a resume in the middle of an
    epoch counts as if there had been none."""
    folder = damaged_copy(gemel, "corrupt", "class0/004.jpg", "class1/007.jpg")
    result = gemel.train("corrupt-run", "--data", folder, "--steps", STEPS, "--max-bad", 2)
    expect("corrupt pictures", result, 0, "class0/004.jpg: the JPEG file is damaged",
           "class1/007.jpg: ", "2 of at most 2 an epoch")
    check("each is named once", result.stderr.count("004.jpg") == 1 and
          result.stderr.count("007.jpg") == 1, result.stderr)
    for at in range(1, 5):
        run = f"corrupt-{at}"
        gemel.train(run, "--data", folder, "--steps", at, "--max-bad", 2)
        gemel.train(run, "--data", folder, "--steps", STEPS, "--max-bad", 2, "--resume")
        check(f"going on at step {at} with corrupt pictures", gemel.states(run, STEPS) ==
              gemel.states("corrupt-run", STEPS))
    for seed in range(3): # both in one batch, or not
        options = ("--data", folder, "--steps", STEPS, "--seed", seed)
        run = f"corrupt-limit-{seed}"
        result = gemel.train(run, *options, "--max-bad", 1)
        expect("too many corrupt pictures", result, 3,
               "2 pictures of an epoch cannot be used; 1 may be replaced", ".jpg: ",
               "the last good checkpoint is")
        result = gemel.train(run, *options, "--max-bad", 2, "--resume")
        gemel.train(f"{run}-whole", *options, "--max-bad", 2)
        check("the limit is raised", result.returncode == 0 and
              gemel.states(run, STEPS) == gemel.states(f"{run}-whole", STEPS), result.stderr)


def check_vanishing(gemel: Gemel):
    """Half of the files go while the training runs; a resume then has another folder."""
    folder = damaged_copy(gemel, "vanishing")
    steps = 40 if gemel.is_sanitized else 400
    options = ("--data", folder, "--steps", steps, "--max-bad", 20)
    process = gemel.start("vanishing-run", *options)
    process.stdout.readline()
    shutil.rmtree(folder / "class1")
    _, said = process.communicate(timeout=240)
    check("files that vanish", process.returncode == 0 and "class1/" in said and
          "No such file" in said, said)
    process = gemel.train("vanishing-run", "--data", folder, "--steps", steps + 4, "--resume")
    expect("going on without them", process, 0, "holds other pictures", "10, then 20")


# ---- disks -----------------------------------------------------------------------------------

def limit_files(size: int):
    """Writing beyond `size` bytes of a file fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def check_full_disk(gemel: Gemel, name: str, size: int, words: str, *options):
    """Something cannot be written after step 2; the checkpoint of that step stays, and is gone
    on from."""
    run = f"full-{name}"
    gemel.train(run, "--steps", 2)
    before = {path.name: path.read_bytes() for path in (gemel.folder / run).glob("checkpoint*")}
    result = gemel.train(run, "--steps", STEPS, "--resume", *options,
                         restore_signals=False, preexec_fn=lambda: limit_files(size))
    expect(f"no room for {name}", result, 5, words, "cannot write",
           "the last good checkpoint is")
    after = {path.name: path.read_bytes() for path in (gemel.folder / run).glob("checkpoint*")}
    check(f"no room for {name}: checkpoints stay", all(
        after.get(file) == data for file, data in before.items()), str(sorted(after)))
    check(f"no room for {name}: nothing is half written", not any(
        file.endswith(".tmp") for file in after), str(sorted(after)))
    gemel.train(run, "--steps", STEPS, "--resume")
    check(f"no room for {name}: the same bits", gemel.states(run, STEPS) ==
          gemel.states("straight", STEPS))


def check_full_disks(gemel: Gemel):
    states = len(gemel.states("straight", STEPS))
    log = (gemel.folder / "straight" / "log.jsonl").stat().st_size
    check_full_disk(gemel, "a checkpoint", states // 2, "checkpoint-000000004.safetensors")
    check_full_disk(gemel, "a line of the log", log // 2, "log.jsonl",
                    "--save-every", STEPS)
    tiny = gemel.folder / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * states + states // 2 + 16384}", "none",
             str(tiny)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        print("skip a full file system: a tmpfs cannot be mounted")
        return
    try:
        result = gemel.train("tiny/run", "--steps", STEPS)
        expect("a full file system", result, 5, "No space left", "the last good checkpoint is")
        last = result.stderr.split("the last good checkpoint is ")[1].split()[0]
        check("a full file system: the last good one", Path(last).exists() and
              Path(last).with_suffix(".json").exists(), last)
    finally:
        subprocess.run(["umount", str(tiny)], check=True)


def check_read_only(gemel: Gemel):
    result = gemel.train("no/such/folder", "--steps", 1)
    expect("a folder that cannot be made", result, 5, "cannot make the folder")
    (gemel.folder / "a file").write_text("")
    result = gemel.train("a file", "--steps", 1)
    expect("a file in the folder's place", result, 5, "cannot")


# ---- checkpoints -----------------------------------------------------------------------------

def damage(path: Path, how: str):
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[:len(data) - 100]
    elif how == "flip":
        data[-50] ^= 4
    elif how == "empty":
        data = bytearray()
    elif how == "text":
        data = bytearray(b"{}")
    path.write_bytes(data)
    if how == "gone":
        path.unlink()


def check_damaged(gemel: Gemel):
    """The newest checkpoint is damaged: the one before it is gone on from."""
    for end in ("safetensors", "json"):
        for how in ("cut", "flip", "empty", "text", "gone"):
            if (end, how) in (("json", "flip"), ("json", "gone"), ("safetensors", "text")):
                continue
            run = f"damaged-{end}-{how}"
            shutil.copytree(gemel.folder / "straight", gemel.folder / run)
            damage(gemel.folder / run / f"checkpoint-{STEPS:09}.{end}", how)
            result = gemel.train(run, "--steps", STEPS, "--resume")
            expect(f"{end}, {how}", result, 0, "not whole, and passed over",
                   f"checkpoint-{STEPS:09}: ", "going on from", f"checkpoint-{STEPS - 2:09}.")
            check(f"{end}, {how}: the same bits", gemel.states(run, STEPS) ==
                  gemel.states("straight", STEPS))
    run = gemel.folder / "all-damaged"
    shutil.copytree(gemel.folder / "straight", run)
    for path in run.glob("*.safetensors"):
        damage(path, "cut")
    files = sorted(run.iterdir())
    result = gemel.train("all-damaged", "--steps", STEPS, "--resume")
    expect("all are damaged", result, 3, "none of its 2 checkpoints is whole")
    check("all are damaged: they stay", sorted(run.iterdir()) == files)


def check_hostile_manifests(gemel: Gemel):
    """Numbers out of range, other types, another step, deep nesting."""
    source = gemel.folder / "straight" / f"checkpoint-{STEPS:09}.json"
    good = json.loads(source.read_text())
    cases = [{"step": -1}, {"step": 1 << 62}, {"step": "10"}, {"epoch": 1 << 32}, {"batch": -5},
             {"checksum": "0"}, {"checksum": "x" * 16}, {"graph": 5}, {"format": "other"},
             {"data": None}, {"n_pictures": 2.5}]
    run = gemel.folder / "hostile"
    shutil.copytree(gemel.folder / "straight", run)
    for case in cases + ["[" * 100000, "\0", '{"step": 1e999}']:
        text = case if isinstance(case, str) else json.dumps({**good, **case})
        for path in run.glob("*.json"):
            path.write_text(text)
        result = gemel.train("hostile", "--steps", STEPS, "--resume")
        expect(f"manifest {str(case)[:30]!r}", result, 3, "whole")
    for path in run.glob("*.json"):
        path.write_text(json.dumps({**good, "epoch": (1 << 32) - 1, "batch": (1 << 32) - 1,
                                    "step": int(path.stem.split("-")[1])}))
    result = gemel.train("hostile", "--steps", STEPS + 1, "--resume")
    check("a place far out", result.returncode in (0, 3), result.stderr)


def check_other_graph(gemel: Gemel):
    other = gemel.export("other.onnx", "--lr", "1e-4")
    result = gemel.run("train", other, "--data", gemel.data, "--run", gemel.folder / "straight",
                       "--steps", STEPS, "--resume")
    expect("a checkpoint of another graph", result, 3, "is a checkpoint of another graph",
           Path(gemel.graph[0]).name, "other.onnx")
    result = gemel.train("straight", "--steps", STEPS + 2, "--resume", "--flip", 0.25)
    expect("other views", result, 2, "was made with other pictures", "flip 0.5", "flip 0.25")


# ---- numbers, options ------------------------------------------------------------------------

def check_nonfinite(gemel: Gemel):
    """A rate at which the second step's weights overflow. The last good checkpoint stays. The
    first tensor is the encoder's last product or sum, and not the loss."""
    model = gemel.export("wild.onnx", "--lr", "1e6", "--min-lr", "1e6", "--warmup", 0, "--clip",
                         0, "--weight-decay", "1e6")
    devices = ("ref",) if gemel.is_sanitized else ("ref", "cpu")
    for device in devices:
        run = f"wild-{device}"
        result = gemel.run("train", model, "--data", gemel.data, "--run", gemel.folder / run,
                           "--save-every", 1, "--steps", STEPS, "--device", device)
        expect(f"a loss that is none, {device}", result, 1, "loss of step 2 is nan",
               "the first tensor that is not finite is decoder_embed/",
               "the last good checkpoint is", "checkpoint-000000001.safetensors")
        names = [path.name for path in (gemel.folder / run).glob("checkpoint*")]
        check(f"no checkpoint of it, {device}", max(names) == "checkpoint-000000001.safetensors",
              str(names))


def check_usage(gemel: Gemel):
    data = ("--data", gemel.data, "--run", gemel.folder / "usage")
    result = gemel.run("train", gemel.model, "--flip", 0.5)
    expect("an option of --data alone", result, 2, "--flip goes with --data")
    for option, value in (("--flip", 2), ("--blur", "1,x"), ("--color", "maybe"), ("--keep", 0),
                          ("--workers", 0), ("--crop-min", -1), ("--log-every", 0)):
        result = gemel.run("train", *gemel.graph, *data, option, value)
        expect(f"{option} {value}", result, 2, "this value will not do")
    result = gemel.run("train", gemel.model, *data, "--device", "ref", "--patch", 5)
    expect("a patch that does not fit", result, 2, "have no patches of 5")
    loss = (*data, "--device", "ref", "--loss", "cross-entropy", "--steps", 1)
    result = gemel.run("train", pictures.save_linear(gemel.folder / "rows.onnx", (4, 12)), *loss)
    expect("a model of no pictures", result, 2, "has no input x1")
    flat = gemel.folder / "flat"
    shutil.copytree(gemel.data / "class0", flat)
    images = pictures.save_linear(gemel.folder / "images.onnx", (4, 3, 8, 8))
    result = gemel.run("train", images, *loss, "--data", flat)
    expect("labels without classes", result, 3, "has no classes: the model wants labels")
    result = gemel.run("train", images, "--device", "ref", *data, "--loss", "cross-entropy")
    expect("a loss without --steps", result, 2, "--data with --loss needs --steps")
    result = gemel.run("train", gemel.model, "--device", "ref", "--data", gemel.folder / "none",
                       "--run", gemel.folder / "unmade")
    expect("a folder that is not there", result, 5, "none")
    check("no folder of a run is made", not (gemel.folder / "unmade").exists())
    (gemel.folder / "empty").mkdir()
    result = gemel.run("train", gemel.model, "--device", "ref", "--data", gemel.folder / "empty",
                       "--run", gemel.folder / "usage")
    expect("a folder without pictures", result, 3, "empty")
    open_batch = gemel.export("open.onnx", "--batch", "n")
    result = gemel.run("train", open_batch, *data, "--steps", 1)
    expect("an open batch", result, 2, "its size n is open: --dim n=N gives one")
    result = gemel.run("train", open_batch, *data, "--steps", 1, "--dim", "n=4", "--device", "ref")
    expect("an open batch that is given", result, 0, "is saved in")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        gemel = Gemel(sys.argv[1], folder, sys.argv[2] if len(sys.argv) > 2 else "")
        gemel.train("straight", "--steps", STEPS)
        return checks.run((check_corrupt, check_vanishing, check_full_disks, check_read_only,
                           check_damaged, check_hostile_manifests, check_other_graph, check_nonfinite,
                           check_usage), gemel)


if __name__ == "__main__":
    sys.exit(main())
