"""What features are worth after a small SiameseIM has been trained, row by row and seed by seed.

usage: results.py GEMEL FOLDER DIGITS.csv.gz [--threads N] [--seeds N] [--again] [--json FILE]

In FOLDER each finished run is a file, SET-ROW-SEED.json, and is not done again; with --again
what was trained is evaluated anew. Prints Markdown:
the mean over the seeds and half of the distance between the best and the worst.
"""
import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pictures:
    """A set of pictures and how long it is trained on."""
    name: str
    epochs: int
    iterations: int  # of 64 pictures, an epoch
    options: tuple[str, ...]  # of training
    rows: tuple[str, ...]


ROWS = ("i", "j", "k", "mae")
SETS = (
    Pictures("digits", 75, 20, ("--flip", "0"), ROWS),
    Pictures("shapes1", 39, 62, (), ROWS),
    Pictures("shapes", 39, 62, (), ("i",)),
)
COLUMNS = (("knn", "mean"), ("knn", "cls"), ("ridge", "mean"), ("ridge", "cls"))
NAMES = {"random": "random network", "i": "**i**, SiameseIM", "j": "**j**, without negatives",
         "k": "**k**, one vector for a picture", "mae": "**MAE**", "pixels": "raw pixels"}


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done


class Laboratory:
    def __init__(self, gemel: Path, folder: Path, digits: Path, threads: int, again: bool):
        self.gemel, self.folder, self.digits = gemel, folder, digits
        self.threads, self.again = threads, again

    def make_pictures(self, pictures: Pictures) -> Path:
        made = self.folder / pictures.name
        if not (made / "made").exists():
            source = ("--source", self.digits) if pictures.name == "digits" else ()
            run(self.gemel, "pictures", pictures.name, made, *source)
            (made / "made").touch()
        return made

    def export_step(self, pictures: Pictures, row: str, seed: int, file: Path):
        # Of 16 patches all rows mask 10 but MAE, whose three quarters are 12
        run(self.gemel, "export", "siameseim", "--row", row, "--variant", "tiny", "--image-size", 32, "--patch", 8,
            "--width", 96, "--depth", 4, "--heads", 3, "--decoder-width", 96, "--decoder-heads", 4,
            "--projector-depth", 1, "--predictor-depth", 2, "--masked", 12 if row == "mae" else 10, "--color", "off",
            "--lr", "2e-3", "--warmup", (pictures.epochs + 9) // 10, "--epochs", pictures.epochs,
            "--iterations", pictures.iterations, "--ema", 0.99, "--batch", 64, "--seed", seed, "-o", file)

    def train(self, pictures: Pictures, step: Path, seed: int, into: Path) -> dict:
        """Trains, unless that is done, and returns the last line of the log."""
        done = into / "monitor.json"
        if done.exists():
            return json.loads(done.read_text())
        run("rm", "-rf", into)
        run(self.gemel, "train", step, "--data", self.make_pictures(pictures) / "train", "--run", into,
            "--crop-min", 0.3, "--seed", seed, "--threads", self.threads, "--log-every", 200, "--monitor-every", 200,
            *pictures.options)
        lines = [json.loads(line) for line in (into / "log.jsonl").read_text().splitlines()]
        last = [line for line in lines if "loss" in line][-1]
        done.write_text(json.dumps(last))
        return last

    def evaluate(self, pictures: Pictures, weights: Path | None) -> dict:
        """Accuracies by "METHOD FEATURES" in percent, and "rank" of the mean features."""
        made = self.make_pictures(pictures)
        options = ("--train", made / "train", "--test", made / "test", "--threads", self.threads, "--json")
        if weights:
            backbone = self.folder / "backbone.onnx"
            run(self.gemel, "export", "vit", "--weights", weights, "--no-head", "--features", "tokens",
                "--image-size", 32, "--batch", "n", "-o", backbone)
            found = run(self.gemel, "eval", backbone, *options)
        else:
            found = run(self.gemel, "eval", "--pixels", "--image-size", 32, *options)
        report = json.loads(found.stdout)
        values = {f"{r['method']} {r['features']}": 100 * r["accuracy"] for r in report["results"]}
        return values | {"rank": report["features"][0]["rank"]}

    def finish(self, pictures: Pictures, row: str, seed: int) -> dict:
        """One run, from its file if it is there: evaluation, and the monitor of what was trained."""
        result = self.folder / f"{pictures.name}-{row}-{seed}.json"
        if result.exists() and not self.again:
            return json.loads(result.read_text())
        monitor = {}
        if row == "pixels":
            weights = None
        else:
            weights = self.folder / "step.onnx"
            self.export_step(pictures, "i" if row == "random" else row, seed, weights)
            if row != "random":
                into = self.folder / f"{pictures.name}-{row}-{seed}"
                monitor = self.train(pictures, weights, seed, into)
                weights = sorted(into.glob("checkpoint-*.safetensors"))[-1]
        values = {"set": pictures.name, "row": row, "seed": seed,
                  "accuracy": self.evaluate(pictures, weights), "monitor": monitor}
        result.write_text(json.dumps(values))
        print(f"{pictures.name}, {row}, seed {seed}: " +
              ", ".join(f"{k} {v:.1f}" for k, v in values["accuracy"].items() if v), file=sys.stderr, flush=True)
        return values


def cell(values: list[float], digits: int = 1) -> str:
    """Mean and half of the spread."""
    if not values or None in values:
        return ""
    half = (max(values) - min(values)) / 2
    return f"{statistics.mean(values):.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def table(pictures: Pictures, runs: list[dict]) -> str:
    columns = [f"{method} {features}" for method, features in COLUMNS]
    lines = ["| | " + " | ".join(columns) + " | rank | loss | targets' rank | between pictures |",
             "|---|" + "---|" * (len(columns) + 4)]
    for row in ("random", *pictures.rows, "pixels"):
        mine = [r for r in runs if r["set"] == pictures.name and r["row"] == row]
        # Pixels have no tokens: neighbours are of the pixels, the probe of their 16 by 16 means
        names = ["knn pixels", "", "ridge grey16", ""] if row == "pixels" else columns
        cells = [cell([r["accuracy"][n] for r in mine] if n else []) for n in names]
        cells.append(cell([r["accuracy"]["rank"] for r in mine]) if row != "pixels" else "")
        for key, digits in (("loss", 3), ("effective_rank", 1), ("between_images", 2)):
            cells.append(cell([r["monitor"][key] for r in mine if key in r["monitor"]], digits))
        lines.append(f"| {NAMES[row]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gemel", type=lambda text: Path(text).resolve())
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("digits", type=lambda text: Path(text).resolve())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="evaluate what was trained once more")
    parser.add_argument("--json", type=Path, help="also write all runs to this file")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    laboratory = Laboratory(args.gemel, args.folder, args.digits, args.threads, args.again)
    runs = []
    for pictures in SETS:
        runs.append(laboratory.finish(pictures, "pixels", 0))
        for seed in range(args.seeds):
            for row in ("random", *pictures.rows):
                runs.append(laboratory.finish(pictures, row, seed))
        print(f"\n{pictures.name}, {pictures.epochs * pictures.iterations} steps\n\n{table(pictures, runs)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
