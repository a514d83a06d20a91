"""product list, show, add, change, enable, disable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.commands import Disclosure, HomeOption, JsonOption, OutputOption, act
from xinyi.terminal import emit, group, outcome, print_json, table

app = group("Products: fixed field sets, each switched on or off as a whole.")

ProductFile = Annotated[Path, typer.Argument(metavar="FILE", help="TOML, as `product show` writes it.")]


@app.command("list")
def list_products(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every product, whether it is on, and its disclosure class.

    Example: xinyi-gateway product list --json
    """
    from gateway.office.inspection import read
    from gateway.store import parties

    rows = read(home, parties.list_products)
    if as_json:
        return print_json(rows)
    columns = ["product", "version", "on", "class", "record_schema"]
    rows = [
        r | {"on": "on" if r["enabled"] else "off", "class": Disclosure.of(r["disclosure_class"])}
        for r in rows
    ]
    return table("", columns, [[row[name] for name in columns] for row in rows])


@app.command()
def show(home: HomeOption, name: str, output: OutputOption = None, as_json: JsonOption = False) -> None:
    """Write a product's definition, to be read or changed: field set, grades, class, thresholds, version.

    Example: xinyi-gateway product show grade-a -o grade-a.toml
    """
    from gateway.office import catalogue
    from gateway.office.inspection import read
    from gateway.store import parties
    from xinyi.errors import Unknown

    row = read(home, lambda conn: parties.find_product(conn, name))
    if row is None:
        raise Unknown(f"there is no product {name}", basis="product.unknown")
    if as_json:
        return print_json(row)
    return emit(output, catalogue.to_toml(row).encode())


@app.command()
def add(home: HomeOption, file: ProductFile, as_json: JsonOption = False) -> None:
    """Enter a product into the catalogue, switched off.

    Example: xinyi-gateway product add grade-m.toml
    """
    from gateway.office import catalogue

    row = catalogue.read(file)
    act(home, lambda g, x: catalogue.add(x, row, g.holder))
    shown = {"product": row["product"], "version": row["version"]}
    outcome(shown, f"{row['product']} is in the catalogue, switched off", as_json=as_json)


@app.command()
def change(home: HomeOption, file: ProductFile, as_json: JsonOption = False) -> None:
    """Put the next version of a product in force, for editions that arrive from now on.

    Example: xinyi-gateway product change grade-a.toml
    """
    from gateway.office import catalogue

    row = catalogue.read(file)
    act(home, lambda g, x: catalogue.change(x, row, g.holder))
    shown = {"product": row["product"], "version": row["version"]}
    outcome(shown, f"version {row['version']} of {row['product']} is in force", as_json=as_json)


@app.command()
def enable(home: HomeOption, name: str, as_json: JsonOption = False) -> None:
    """Switch a product on.

    Example: xinyi-gateway product enable grade-all
    """
    _switch(home, name, True, as_json)


@app.command()
def disable(home: HomeOption, name: str, as_json: JsonOption = False) -> None:
    """Switch a product off: nothing of it is published or delivered.

    Example: xinyi-gateway product disable grade-all
    """
    _switch(home, name, False, as_json)


def _switch(home: Path, name: str, on: bool, as_json: bool) -> None:
    from gateway.office import catalogue

    act(home, lambda g, x: catalogue.switch(x, name, on, g.holder))
    outcome({"product": name, "enabled": on}, f"{name} is {'on' if on else 'off'}", as_json=as_json)
