#!/usr/bin/env python3
"""Holds every kernel to what tests/cuda/registers.txt allows it: registers of a thread, bytes of
local memory, and the instructions that its PTX must have.

    tests/cuda/registers_test.py OBJECT ...

It reads what nvcc put into the objects, so it needs neither a GPU nor a disassembler; the objects
must be compiled with --no-compress. Machine code says what a kernel takes (in section .nv.info of its
ELF file), PTX which instructions it has. A spilled register is local memory, and so is an array whose
index is not known.
"""
import pathlib
import re
import struct
import subprocess
import sys

LIST = pathlib.Path(__file__).with_name("registers.txt")
FATBIN = 0xBA55ED50
PTX, MACHINE_CODE = 1, 2             # what an entry of a fatbin is
FRAME_SIZE, REGISTERS = 0x11, 0x2F   # attributes of .nv.info: two words, function and number
HAS_SIZE = 4                         # an attribute with a size; the others are one word


def sections(elf):
    """{name: (bytes, header)} of an ELF file of 64 bits."""
    start, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<3H", elf, 0x3A)
    headers = [struct.unpack_from("<2I4Q2I2Q", elf, start + i * size) for i in range(count)]
    named = {}
    for header in headers:
        name = headers[names][4] + header[0]
        text = elf[name:elf.index(b"\0", name)].decode()
        named[text] = elf[header[4]:header[4] + header[5]] if header[1] != 8 else b""
    return named


def entries(fatbin):
    """(kind, bytes) of each entry."""
    at = 0
    while at + 16 <= len(fatbin):
        magic, _, header, size = struct.unpack_from("<I2HQ", fatbin, at)
        if magic != FATBIN:
            raise SystemExit("not a fatbin")
        entry, at = at + header, at + header + size
        while entry < at:
            kind, _, header, size = struct.unpack_from("<2HIQ", fatbin, entry)
            yield kind, fatbin[entry + header:entry + header + size]
            entry += header + size
        at = (at + 7) // 8 * 8


def attributes(info):
    """(attribute, function, number) of a section .nv.info."""
    at = 0
    while at < len(info):
        kind, attribute, size = struct.unpack_from("<2BH", info, at)
        if kind == HAS_SIZE and attribute in (FRAME_SIZE, REGISTERS):
            yield attribute, *struct.unpack_from("<2I", info, at + 4)
        at += 4 + (size if kind == HAS_SIZE else 0)


def kernels_of(path):
    """[(mangled name, registers, local bytes)], {mangled name: PTX}"""
    taken, ptx = [], {}
    for kind, data in entries(sections(path.read_bytes()).get(".nv_fatbin", b"")):
        if kind == PTX:
            entry = r"^(?:\.\w+ )*\.entry (\w+)\((.*?)^}"
            ptx.update(re.findall(entry, data.decode(), re.MULTILINE | re.DOTALL))
        elif kind == MACHINE_CODE:
            parts = sections(data)
            names, symbols = parts[".strtab"], parts[".symtab"]
            numbers = {}
            for attribute, function, number in attributes(parts[".nv.info"]):
                start, = struct.unpack_from("<I", symbols, 24 * function)
                name = names[start:names.index(b"\0", start)].decode()
                numbers.setdefault(name, {})[attribute] = number
            taken += [(name, n[REGISTERS], n.get(FRAME_SIZE, 0)) for name, n in numbers.items()
                      if f".text.{name}" in parts]
    return taken, ptx


def readable(names):
    """rms_norm_block_per_row<bf16> of each mangled name."""
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                          check=True).stdout
    for name in text.splitlines():
        name = re.sub(r"\(anonymous namespace\)::|\bpaligemma::|\bcuda::|^void ", "", name)
        depth = 0
        for end, c in enumerate(name):
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                break
        yield name[:end]


def read_list():
    """{kernel: (registers, local bytes, instructions)}"""
    allowed = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            name, registers, local, *instructions = re.split(r"  +", line)
            allowed[name] = int(registers), int(local), instructions
    return allowed


def main():
    taken, ptx = [], {}
    for path in map(pathlib.Path, sys.argv[1:]):
        more_taken, more_ptx = kernels_of(path)
        taken += more_taken
        ptx.update(more_ptx)
    allowed, used, problems = read_list(), set(), []
    for name, (mangled, registers, local) in zip(readable([t[0] for t in taken]), taken):
        listed = name if name in allowed else name.split("<")[0]  # all of a template's, or one
        used.add(listed)
        if listed not in allowed:
            problems.append(f"is not listed: {name}  {min(255, max(32, (registers + 7) // 8 * 8))}  {local}")
            continue
        most_registers, most_local, instructions = allowed[listed]
        if registers > most_registers:
            problems.append(f"{name}: {registers} registers, at most {most_registers} are allowed")
        if local > most_local:
            problems.append(f"{name}: {local} bytes of local memory, {most_local} are allowed")
        problems += [f"{name}: no {instruction} in its PTX" for instruction in instructions
                     if instruction not in ptx.get(mangled, "")]
    problems += [f"{name}: is listed, and in none of the objects" for name in allowed.keys() - used]
    if not taken:
        problems.append("there are no kernels in these objects")
    if list(allowed) != sorted(allowed):
        problems.append(f"{LIST.name} is not sorted")
    print("\n".join(sorted(problems) + [f"{len(taken)} kernels, {len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
