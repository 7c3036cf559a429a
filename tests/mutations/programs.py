"""A piece's test, compiled with a fault in the piece and linked in front of build/cpu's library."""
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import threading

from lists import ROOT, engine_sources, files_of, includes, is_cuda, is_engine, is_fast, kernels_of

BUILD = ROOT / "build/cpu"
_folder = tempfile.TemporaryDirectory(prefix="mutations-")  # goes when the program ends
OBJECTS = pathlib.Path(_folder.name)  # compiled once for many faults


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", **options)


def flags(*packages):
    return shlex.split(run("pkg-config", *packages).stdout)


os.environ["OMP_WAIT_POLICY"] = "passive"  # many programs at once: do not wait in a loop
COMPILE = ["g++", "-std=c++20", "-O1", "-ffp-contract=off", "-fopenmp", f"-I{BUILD}/include",
           *flags("--cflags", "sentencepiece", "stb", "libzip", "libpcre2-8")]
KERNELS = ["-x", "c++", "-fno-strict-aliasing", "-fsanitize=thread", "-g1"]
EMULATION = BUILD / "cuda/emulation/CMakeFiles"
EMULATED = ["tests/fast/emulated_avx512.cpp", "tests/fast/emulated_amx.cpp"]
SOURCE_TREE = BUILD / "CMakeFiles/pg_source_tree.dir/generated/source_tree.cpp.o"
LINK = [*map(str, BUILD.glob("libpg_cuda_model.a")), *map(str, BUILD.glob("tests/libpg_rounded.a")),
        str(BUILD / "libpaligemma_pieces.a"), str(SOURCE_TREE), "-lgtest", "-lgtest_main",
        f"-Wl,-rpath,{BUILD}",  # the module for HDF5
        *flags("--libs", "sentencepiece", "libzip", "libpcre2-8", "zlib"),
        *flags("--libs", "libjpeg"), *flags("--libs", "libwebp", "libwebpdemux")]  # where they are


def once(function):
    """Whoever calls it with the same arguments while it runs, or later, gets the same result."""
    lock, results = threading.Lock(), {}

    def wrapper(*arguments):
        with lock:
            is_first = arguments not in results
            result = results.setdefault(arguments, concurrent.futures.Future())
        if is_first:
            try:
                result.set_result(function(*arguments))
            except BaseException as error:  # SystemExit too
                result.set_exception(error)
        return result.result()

    return wrapper


def cuda_test_target(piece):
    return re.sub("[/.]", "_", f"tests/{piece}_test.cpp")


def is_stale(pieces):
    """Whether anything in build/cpu that faults are linked with is older than its sources."""
    targets = ["libpaligemma_pieces.a", "pg_rounded", "pg_source_tree"]
    if any(map(is_fast, pieces)):
        targets.append("fast_emulated")
    if any(map(is_engine, pieces)):
        targets.append("pg_engine")
    if any(map(is_cuda, pieces)):
        targets += ["libpg_cuda_model.a", "pg_emulation", "pg_kernels_checked"]
        targets += [cuda_test_target(piece) for piece in pieces if is_cuda(piece)]
    # By its whole path, or ninja would first look for new files, and then say no more.
    ninja = ["ninja", "-C", str(BUILD), "-f", str(BUILD / "build.ninja"), "-n"]
    return "no work to do" not in run(*ninja, *targets).stdout


def compile_or_stop(piece, *arguments):
    built = run(*COMPILE, *arguments)
    if built.returncode != 0:
        raise SystemExit(f"{piece}: does not compile:\n{built.stderr[:2000]}")


def passes(program, left_out=-1):
    environment = {**os.environ, "PG_LEFT_OUT": str(left_out)}
    limit = ["prlimit", "--cpu=60"]  # of processor time: the machine may be busy
    command = [*limit, str(program), "--gtest_brief=1", "--gtest_fail_fast"]
    try:
        return run(*command, env=environment, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def compile_test(piece, folder):
    test = folder / f"{piece.replace('/', '_')}.o"
    compile_or_stop(piece, f"-I{folder}", f"-I{ROOT}", "-c", str(ROOT / f"tests/{piece}_test.cpp"),
                    "-o", str(test))
    return str(test)


@once
def unchanged_test(piece):
    source = f"tests/{piece}_test.cpp"
    built = EMULATION / f"{cuda_test_target(piece)}.dir/__/__/{source}.o"
    return str(built) if built.exists() else compile_test(piece, OBJECTS)


def test_object(piece, folder, changed):
    """The test, compiled: anew if a header that it knows has changed; of kernels, that is one."""
    known = {f"{piece}.h"} if is_cuda(piece) else includes(f"tests/{piece}_test.cpp")
    return unchanged_test(piece) if known.isdisjoint(changed) else compile_test(piece, folder)


def engine_object(name, folder, changed):
    built = BUILD / f"engine/CMakeFiles/pg_engine.dir/{pathlib.Path(name).name}.o"
    return folder / name if name in changed else built if built.exists() else ROOT / name


def emulated_kernels(source, of_amx):
    built = BUILD / f"CMakeFiles/fast_emulated.dir/{source}.o"
    return source if of_amx and "amx" in source else str(built)


def product_objects(piece, folder, changed):
    """What stands in front of the library: the piece; of kernels and of the engine, all there are."""
    if is_engine(piece):
        return [str(engine_object(name, folder, changed)) for name in engine_sources()]
    if not is_cuda(piece):
        names = files_of(f"{piece}.cpp")
        if is_fast(piece):
            # Of the kernels the portable ones stand for all, but for what AMX has alone.
            of_amx = any("/amx" in name for name in changed)
            if not of_amx and not includes("fast/kernels/portable.cpp").isdisjoint(changed):
                names.append("fast/kernels/portable.cpp")
            names += [emulated_kernels(name, of_amx) for name in EMULATED]
        return [str(folder / name if name in changed else ROOT / name) for name in names]
    objects = [str(path) for path in (EMULATION / "pg_emulation.dir").rglob("*.o")]
    for name in files_of("cuda/**/*.cu"):
        built = EMULATION / f"pg_kernels_checked.dir/__/{name.removeprefix('cuda/')}.o"
        changes = name in kernels_of(piece) and not includes(name).isdisjoint(changed)
        if changes or name in kernels_of(piece) and not built.exists():
            built = folder / f"{name.replace('/', '_')}.o"
            source = folder / name if name in changed else ROOT / name
            compile_or_stop(piece, f"-I{folder}", f"-I{ROOT}", *KERNELS, "-c", str(source), "-o",
                            str(built))
        if built.exists():
            objects.append(str(built))
    return objects


def build(piece, folder, changed, *more):
    """The piece's test, where `changed` {name: text} stands in the place of the tree's files."""
    for name, text in changed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    program = folder / "test"
    compile_or_stop(piece, f"-I{folder}", f"-I{ROOT}", *product_objects(piece, folder, changed),
                    test_object(piece, folder, changed), *more, *LINK, "-o", str(program))
    return program


def passes_with(piece, changed):
    with tempfile.TemporaryDirectory() as folder:
        return passes(build(piece, pathlib.Path(folder), changed))
