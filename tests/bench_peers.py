"""gemel beside ONNX Runtime: the same models and inputs, in alternation.

usage: bench_peers.py GEMEL FOLDER [--load|--exact] [MODEL…]

A row runs both in turn, ROUNDS times; a round's time is the median of its runs after one that does not
count, its ratio is gemel's over ONNX Runtime's, and the row's the median of those. ONNX Runtime's results
become a test directory that `gemel check` has to pass; the largest difference over the largest absolute
output is printed beside. Exit status 1 when a row does not agree.

With --load: from nothing to the first result, once in a fresh process each, in alternation, with the files
in the page cache. gemel's time begins before dlopen of the compiled model and ONNX Runtime's before
InferenceSession; libraries, inputs and outputs are there already. Later runs tell how much of it was
computing; the rest is what loading costs.

With --exact: both in single precision against the model in double precision (run by gemel).
"""
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ROUNDS = 5
TOLERANCES = ["--rtol", "1e-3", "--atol", "1e-4"]
MODELS = {
    # name: runs a round, arguments of gemel export
    "vit-b16-1": (5, ["vit", "--variant", "b16"]),
    "bert-base-128": (5, ["bert", "--variant", "base"]),
    "superres": (5, ["superres"]),
    "resnet50-1": (5, ["resnet", "--variant", "50"]),
    "resnet50-8": (3, ["resnet", "--variant", "50", "--batch", "8"]),
    "vit-b16-8": (2, ["vit", "--variant", "b16", "--batch", "8"]),
}


def run_gemel(gemel, *arguments):
    return subprocess.run([gemel, *arguments], capture_output=True, text=True, check=True).stdout


def export(gemel, folder, name):
    path = os.path.join(folder, name + ".onnx")
    if not os.path.exists(path):
        run_gemel(gemel, "export", *MODELS[name][1], "-o", path)
    return path


def make_session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make_inputs(session):
    random = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        if "float" in value.type:
            feed[value.name] = random.standard_normal(value.shape).astype(np.float32)
        else:
            limit = 1000 if value.name == "input_ids" else 2
            feed[value.name] = random.integers(0, limit, value.shape, np.int64)
    return feed


def peer_ms(session, feed, runs):
    session.run(None, feed)
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def gemel_ms(gemel, path, threads, runs):
    report = run_gemel(gemel, "bench", "--json", "--threads", str(threads), "--runs", str(runs),
                       "--warmup", "1", path)
    return json.loads(report)["median_ms"]


def write_test(folder, path, feed, expected):
    """A directory as the ONNX suite has them: the model, inputs, and what should come out."""
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    model = os.path.join(folder, "model.onnx")
    if os.path.exists(model):
        os.remove(model)
    os.link(path, model)
    for kind, arrays in (("input", feed.values()), ("output", expected)):
        for number, array in enumerate(arrays):
            with open(os.path.join(data, f"{kind}_{number}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(array).SerializeToString())


def agrees(gemel, folder, threads):
    done = subprocess.run([gemel, "check", "--threads", str(threads), *TOLERANCES, folder],
                          capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
    return done.returncode == 0 and done.stdout.splitlines()[-1].startswith("1 passed")


def run_model(gemel, folder, path, feed, *options):
    """Runs it once; a function that gives output k."""
    arguments = [*options, "--output-dir", folder]
    for number, (name, value) in enumerate(feed.items()):
        file = os.path.join(folder, f"in{number}.npy")
        np.save(file, value)
        arguments += ["--input", f"{name}={file}"]
    run_gemel(gemel, "run", path, *arguments)
    return lambda number: np.load(os.path.join(folder, f"output_{number}.npy"))


def largest_difference(gemel, folder, path, threads, feed, expected):
    output = run_model(gemel, folder, path, feed, "--threads", str(threads))
    worst = 0.0
    for number, value in enumerate(expected):
        got = output(number).astype(np.float64)
        worst = max(worst, np.abs(got - value).max() / np.abs(value).max())
    return worst


def measure(gemel, folder, name, threads):
    """Prints a row; true when the results agree."""
    runs = MODELS[name][0]
    path = export(gemel, folder, name)
    session = make_session(path, threads)
    feed = make_inputs(session)
    ratios = []
    for _ in range(ROUNDS):
        peer = peer_ms(session, feed, runs)
        ratios.append(gemel_ms(gemel, path, threads, runs) / peer)
    expected = session.run(None, feed)
    test = os.path.join(folder, "check-" + name)
    write_test(test, path, feed, expected)
    good = agrees(gemel, test, threads)
    difference = largest_difference(gemel, test, path, threads, feed, expected)
    print(f"{name:<16}{threads:>8}{statistics.median(ratios):>8.2f}   "
          f"{min(ratios):.2f} to {max(ratios):.2f}   {difference:>10.1e}   "
          f"{'yes' if good else 'NO'}", flush=True)
    return good


def to_double(source, target):
    """The same model in double precision."""
    model = onnx.load(source)
    for initializer in model.graph.initializer:
        if initializer.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(initializer).astype(np.float64)
            initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.DOUBLE
            if attribute.t.data_type == onnx.TensorProto.FLOAT:
                array = numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(array))
    onnx.save(model, target)


def main_exact(gemel, folder, names):
    print(f"errors in single precision against double, gemel and ONNX Runtime {ort.__version__}\n\n"
          f"{'model':<16}{'gemel: largest':>15}{'rms':>9}{'ORT: largest':>15}{'rms':>9}")
    for name in names or ("vit-b16-1", "bert-base-128", "superres", "resnet50-1"):
        path = export(gemel, folder, name)
        double = os.path.join(folder, name + "-double.onnx")
        to_double(path, double)
        session = make_session(path, 1)
        feed = make_inputs(session)
        wide = {key: value.astype(np.float64) if value.dtype == np.float32 else value
                for key, value in feed.items()}
        exact = run_model(gemel, folder, double, wide)(0)
        assert exact.dtype == np.float64
        row = f"{name:<16}"
        for got in (run_model(gemel, folder, path, feed)(0), session.run(None, feed)[0]):
            error = got.astype(np.float64) - exact
            row += (f"{np.abs(error).max() / np.abs(exact).max():>15.1e}"
                    f"{np.sqrt((error ** 2).mean() / (exact ** 2).mean()):>9.1e}")
        os.remove(double)
        print(row, flush=True)


def load_times(load, run):
    """Milliseconds from nothing to the first result, and of the fastest of three later runs."""
    begin = time.perf_counter()
    loaded = load()
    run(loaded)
    first = time.perf_counter() - begin
    later = []
    for _ in range(3):
        begin = time.perf_counter()
        run(loaded)
        later.append(time.perf_counter() - begin)
    return first * 1e3, min(later) * 1e3


def load_peer(path, threads, names, inputs, _):
    feed = {name: np.zeros(shape, np.float32) for name, shape in zip(names, inputs)}
    return load_times(lambda: make_session(path, threads), lambda session: session.run(None, feed))


def load_gemel(library, threads, _, inputs, outputs):
    name = os.path.basename(library).split(".")[0].replace("-", "_")
    arrays = [np.zeros(shape, np.float32) for shape in inputs + outputs]
    tensors = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]

    def load():
        code, model = ctypes.CDLL(library), ctypes.c_void_p()
        if getattr(code, name + "_open")(ctypes.byref(model), threads, None, 0):
            sys.exit(f"{library} cannot be opened")
        return getattr(code, name + "_run"), model

    def run(loaded):
        if loaded[0](loaded[1], *tensors):
            sys.exit(f"{library} does not run")

    return load_times(load, run)


def load_once(*arguments):
    """One of the two above, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--load-once", json.dumps(arguments)],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure_load(gemel, folder, name, threads):
    path = export(gemel, folder, name)
    library = os.path.join(folder, "load-" + name + ".so")
    run_gemel(gemel, "compile", path, "-o", library)
    session = make_session(path, threads)
    shapes = [[value.name for value in session.get_inputs()],
              [value.shape for value in session.get_inputs()],
              [value.shape for value in session.get_outputs()]]
    del session
    rounds = np.array([[load_once("gemel", library, threads, *shapes),
                        load_once("peer", path, threads, *shapes)]
                       for _ in range(ROUNDS + 1)][1:])  # the first fills the page cache
    first = np.median(rounds[:, :, 0], axis=0)
    loading = np.median(rounds[:, :, 0] - rounds[:, :, 1], axis=0)
    ratio = np.median(rounds[:, 0, 0] / rounds[:, 1, 0])
    print(f"{name:<16}{threads:>8}{first[0]:>9.0f}{first[1]:>9.0f}{ratio:>8.2f}"
          f"{loading[0]:>12.0f}{loading[1]:>9.0f}{loading[0] / loading[1]:>8.2f}", flush=True)


def main_load(gemel, folder, names):
    print(f"from nothing to the first result, gemel and ONNX Runtime {ort.__version__}: median of "
          f"{ROUNDS} rounds\n\n{'model':<16}{'threads':>8}{'gemel ms':>9}{'ORT ms':>9}{'ratio':>8}"
          f"{'loading: ms':>12}{'ORT ms':>9}{'ratio':>8}")
    for name in names or ("vit-b16-1", "resnet50-1"):
        for threads in (1, 2):
            measure_load(gemel, folder, name, threads)


def main():
    if sys.argv[1] == "--load-once":
        kind, *arguments = json.loads(sys.argv[2])
        print(json.dumps((load_gemel if kind == "gemel" else load_peer)(*arguments)))
        return
    gemel, folder, *names = sys.argv[1:]
    mode = names.pop(0) if names and names[0].startswith("--") else ""
    if mode not in ("", "--load", "--exact"):
        sys.exit(f"bench_peers.py: there is no {mode}; there are --load and --exact")
    for name in names:
        if name not in MODELS:
            sys.exit(f"bench_peers.py: there is no model {name}; there are {', '.join(MODELS)}")
    os.makedirs(folder, exist_ok=True)
    if mode:
        (main_load if mode == "--load" else main_exact)(gemel, folder, names)
        return
    print(f"gemel / ONNX Runtime {ort.__version__}: ratio of median times, {ROUNDS} rounds\n")
    print(f"{'model':<16}{'threads':>8}{'ratio':>8}   least to most   difference   agrees")
    good = True
    for name in names or MODELS:
        for threads in (1, 2):
            good = measure(gemel, folder, name, threads) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
