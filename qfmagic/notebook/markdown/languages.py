"""The languages a fence may name: those that page and converters colour, and none that one of them would draw or run."""

import re

# Not here: what some front end turns into a picture, a formula, a map or a call instead of showing it (mermaid, dot,
# plantuml, vega, geojson, topojson, stl, math, abc, ...).
_KNOWN = frozenset(
    ["ada", "apl", "applescript", "asm", "assembly", "awk", "bash", "bat", "batch", "c", "c#", "c++", "clj", "clojure", "cmake", "cobol", "coffeescript", "console", "cpp", "cs", "csharp", "css", "csv", "cuda", "cxx", "cypher", "d", "dart", "delphi", "diff", "django", "docker", "dockerfile", "elixir", "elm", "erl", "erlang", "f#", "f90", "fish", "fortran", "fsharp", "gas", "gdscript", "gherkin", "glsl", "go", "golang", "gradle", "graphql", "groovy", "h", "haskell", "haxe", "hcl", "hlsl", "hpp", "hs", "html", "http", "ini", "ipython", "ipython3", "java", "javascript", "jinja", "jinja2", "jl", "js", "json", "json5", "jsonc", "jsonl", "jsx", "julia", "kotlin", "kt", "latex", "less", "lisp", "lua", "make", "makefile", "markdown", "mathematica", "matlab", "md", "ml", "mysql", "nasm", "nginx", "nim", "nix", "none", "objc", "objective-c", "objectivec", "ocaml", "octave", "output", "pascal", "patch", "perl", "pgsql", "php", "pl", "pl/sql", "plain", "plaintext", "plsql", "postgres", "postgresql", "powershell", "prolog", "properties", "proto", "protobuf", "ps1", "pwsh", "py", "py3", "pycon", "pyspark", "python", "python3", "qml", "r", "rb", "rest", "rs", "rst", "ruby", "rust", "sas", "sass", "scala", "scheme", "scss", "sh", "shell", "shell-session", "sol", "solidity", "spark", "sparksql", "sql", "sqlite", "stata", "svelte", "swift", "systemverilog", "tcl", "terraform", "tex", "text", "toml", "ts", "tsql", "tsx", "txt", "typescript", "v", "vb", "vba", "vbnet", "verilog", "vhdl", "vim", "viml", "vue", "wasm", "wat", "xhtml", "xml", "yaml", "yml", "zig", "zsh"]
)


def language(info: str) -> str:
    """The language an info string names, or ``text`` for one that isn't known; nothing for none."""
    words = re.split(r"[\s,;:{}]+", info.strip().lstrip("{."), maxsplit=1)
    if not words[0]:
        return "text" if info.strip() else ""
    return words[0] if words[0].lower() in _KNOWN else "text"
