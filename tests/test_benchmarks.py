"""What the benchmarks say is what was measured: rules, arithmetic, tables, the committed page."""

from __future__ import annotations

import argparse
import json
import tempfile
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import (
    checkouts,
    cli,
    figures,
    generator,
    machine,
    page,
    pictures,
    report,
    results,
    rounds,
    scenarios,
    servers,
    targets,
)
from benchmarks.results import Case, Result, Run, Status
from benchmarks.servers import PEERS, Peer
from chatd.config import TABLE, load

ROOT = Path(__file__).resolve().parents[1]
CASE: Case = {"connections": 200, "in_flight": 64}


def run(
    entrant: str,
    round: int,
    value: float = 1.0,
    *,
    status: Status = "ok",
    why: str = "",
    family: str = "fanout",
    case: Case = CASE,
    figure: str = "deliveries_per_s",
    load_bound: bool = False,
) -> Run:
    """A run with one figure."""
    return Run(family, case, entrant, round, status, why, {figure: value}, load_bound)


def result(*runs: Run) -> Result:
    """A result with some runs."""
    parameters = {"rounds": 2, "seconds": 3.0, "warmup": 1.0, "quick": False}
    return Result("2026-01-01T00:00:00+00:00", {"cores": 2}, {"chatd": "1"}, parameters, runs)


class ConfigTests(SynchronousTestCase):
    """chatd is measured as it is shipped."""

    def test_only_rates(self) -> None:
        """benchmarks/chatd.toml raises the rates of what one connection says, and nothing else."""
        said = tomllib.loads((ROOT / "benchmarks" / "chatd.toml").read_text())
        self.assertEqual(list(said), ["limits"])
        self.assertEqual(
            set(said["limits"]),
            {
                *("publish_per_s", "publish_burst", "commands_per_s", "commands_burst"),
                *("received_bytes_per_s", "received_bytes_burst"),
            },
        )

    def test_accepted(self) -> None:
        """It is accepted by chatd, and every value is above what is shipped."""
        config = load({}, {}, str(ROOT / "benchmarks" / "chatd.toml"))
        for name in config.said:
            row = next(row for row in TABLE if row.name == name)
            self.assertGreater(getattr(config, name), row.default)

    def test_variables(self) -> None:
        """What an entrant sets besides is said by variables that chatd reads."""
        said = checkouts.variables({"plain.echo": False, "limits.text_chars": 16384})
        config = load({}, said)
        self.assertEqual((config.echo, config.text_chars), (False, 16384))


class ArithmeticTests(SynchronousTestCase):
    """Medians, spreads and ratios."""

    def test_spread(self) -> None:
        """A spread is the median with the least and the most; of nothing there is none."""
        self.assertEqual(figures.spread([3, 1, 2]), figures.Spread(2, 1, 3, 3))
        self.assertIsNone(figures.spread([]))

    def test_by_round(self) -> None:
        """A ratio is taken within each round, so that a slow hour changes nothing."""
        runs = [run("a", 1, 200), run("b", 1, 100), run("a", 2, 20), run("b", 2, 10)]
        self.assertEqual(figures.ratios(runs, "deliveries_per_s", "a", "b"), [2, 2])

    def test_median_of_ratios(self) -> None:
        """What is shown is the median of ratios, not the ratio of medians."""
        values = {"a": (10, 90, 40), "b": (1, 100, 40)}
        runs = [run(name, r + 1, v[r]) for name, v in values.items() for r in range(3)]
        row = figures.row(runs, ["deliveries_per_s"], "a", "b")
        self.assertEqual(row.ratios["deliveries_per_s"], figures.Spread(1, 0.9, 10, 3))

    def test_round_without_one(self) -> None:
        """A round in which one of the two failed, was not there or had nothing gives no ratio."""
        runs = [
            *(run("a", 1, 6), run("b", 1, 2)),
            *(run("a", 2, 6, status="failed"), run("b", 2, 2)),
            *(run("a", 3, 6), run("b", 3, 0)),
            run("a", 4, 6),
        ]
        self.assertEqual(figures.ratios(runs, "deliveries_per_s", "a", "b"), [3])

    def test_failed_is_not_counted(self) -> None:
        """The figures of a failed run are part of no median, and the row says that it failed."""
        runs = [run("a", 1, 5), run("a", 2, 1e9, status="failed", why="3 missing")]
        row = figures.row(runs, ["deliveries_per_s"], "a", "a")
        self.assertEqual(row.values["deliveries_per_s"].most, 5)
        self.assertEqual((row.rounds, row.failed, row.why), (2, 1, "3 missing"))

    def test_before(self) -> None:
        """With several checkouts each row is compared to its own of the first, too."""
        runs = [run("x", 1, 8), run("a@old", 1, 2), run("a@new", 1, 4)]
        row = figures.row(runs, ["deliveries_per_s"], "a@new", "x", "a@old")
        self.assertEqual(row.ratios["deliveries_per_s"].median, 0.5)
        self.assertEqual(row.before["deliveries_per_s"].median, 2)

    def test_groups(self) -> None:
        """Runs of one case belong together, in whatever order they were made."""
        other: Case = {"in_flight": 64, "connections": 200}
        runs = [run("a", 1), run("a", 1, case={"connections": 8}), run("a", 2, case=other)]
        self.assertEqual([len(of) for _, _, of in figures.groups(runs)], [2, 1])


class OrderTests(SynchronousTestCase):
    """Who is measured when."""

    @given(st.integers(1, 9), st.integers(1, 30))
    def test_turns(self, count: int, round: int) -> None:
        """Everybody is measured once a round, and each round another one begins."""
        names = list(range(count))
        self.assertEqual(sorted(rounds.order(names, round)), names)
        self.assertEqual(rounds.order(names, round)[0], (round - 1) % count)


class LoadTests(SynchronousTestCase):
    """The load generator's words."""

    def test_arguments(self) -> None:
        """Options become words; what is false is not said."""
        options: Case = {
            "in_flight": 16,
            "rate": 0.5,
            "deflate": True,
            "tls": False,
            "url": "ws://x",
        }
        said = ["--in-flight", "16", "--rate", "0.5", "--deflate", "--url", "ws://x"]
        self.assertEqual(generator.arguments(options), said)

    def test_good(self) -> None:
        """All its numbers are figures, and what follows from them is added."""
        told = {
            **{"ok": True, "scenario": "fanout", "seconds": 2.0, "messages": 10, "deliveries": 100},
            **{"bytes": 6600, "server_cpu_s": 1.0, "latency_ms": {"p99": 1.5}},
            **{"errors": {"missing": 0, "closed": 2}, "connections": 200},
        }
        answer = generator.judge(0, json.dumps(told), "")
        self.assertEqual((answer.status, answer.why, answer.load_bound), ("ok", "", False))
        for name, value in (
            *(("latency_ms.p99", 1.5), ("errors.closed", 2), ("bytes_per_delivery", 66)),
            *(("server_busy", 0.5), ("server_cpu_percent", 50)),
            ("server_cpu_us_per_message", 1e5),
        ):
            self.assertEqual(answer.figures[name], value)
        self.assertFalse({"ok", "connections", "errors.missing"} & set(answer.figures))

    def test_not_verified(self) -> None:
        """Deliveries that are wrong fail the run with the load's own words."""
        said = json.dumps({"ok": False, "why": "2 deliveries are missing", "deliveries_per_s": 9})
        answer = generator.judge(1, said, "")
        self.assertEqual((answer.status, answer.why), ("failed", "2 deliveries are missing"))

    def test_status_counts(self) -> None:
        """A status that is not 0 fails the run, whatever it says."""
        self.assertEqual(generator.judge(1, '{"ok": true}', "").status, "failed")

    def test_no_answer(self) -> None:
        """A load that tells nothing, or no object, fails the run with its last complaint."""
        for said in ("", "{", "[]", "3", "{}"):
            answer = generator.judge(2, said, "connecting\nload: there is no --x\n")
            self.assertEqual(answer.status, "failed")
            self.assertIn("status 2: load: there is no --x", answer.why)

    def test_cannot(self) -> None:
        """What the load was built without is a skip, not a failure."""
        answer = generator.judge(3, "", "load: built without TLS\n")
        self.assertEqual((answer.status, answer.why), ("skipped", "load: built without TLS"))

    def test_load_bound(self) -> None:
        """A load that is busy while the server is not is marked: the server could do more."""

        def busy(load: float, server: float) -> bool:
            told = {"ok": True, "seconds": 1.0, "load_busy": load, "server_cpu_s": server}
            return generator.judge(0, json.dumps(told), "").load_bound

        self.assertEqual([busy(0.99, 0.5), busy(0.99, 0.99), busy(0.5, 0.5)], [True, False, False])


class ScenarioTests(SynchronousTestCase):
    """The table of families."""

    def test_table(self) -> None:
        """Names are not given twice; references, peers and figures exist."""
        names = [family.name for family in scenarios.FAMILIES]
        self.assertEqual(len(names), len(set(names)))
        for family in scenarios.FAMILIES:
            entrants = [each.name for each in family.entrants]
            self.assertEqual(len(entrants), len(set(entrants)), family.name)
            self.assertIn(family.reference, entrants)
            self.assertLessEqual({each.peer for each in family.entrants}, set(PEERS))
            self.assertLessEqual(set(family.figures), set(figures.FIGURES))
            self.assertTrue(family.cases and family.quick)

    def test_targets(self) -> None:
        """Each target is about somebody, a case and a figure of the table."""
        families = {family.name: family for family in scenarios.FAMILIES}
        for target in targets.TARGETS:
            family = families[target.family]
            present = {each.name for each in family.entrants}
            self.assertLessEqual({target.entrant, target.reference} - {""}, present)
            self.assertIn(target.figure, family.figures)
            fits = [case for case in family.cases if target.case.items() <= case.items()]
            self.assertEqual(len(fits), 1, target.what)

    def test_peers(self) -> None:
        """Every peer's program is there."""
        for peer in PEERS.values():
            if peer.program:
                self.assertTrue((servers.FOLDER / peer.program[0]).is_file(), peer.label)

    def test_values(self) -> None:
        """Values of the command line stand in for the table's, once each."""
        family = scenarios.select(["fanout"])[0]
        found = scenarios.cases(family, values={"connections": [5], "in_flight": [], "size": [9]})
        self.assertEqual(
            found, [{"connections": 5, "in_flight": 16}, {"connections": 5, "in_flight": 64}]
        )

    def test_unknown(self) -> None:
        """A family that there is not is refused, with those that there are."""
        self.assertRaisesRegex(ValueError, "'x'; there are fanout", scenarios.select, ["x"])

    def test_checkouts(self) -> None:
        """With several checkouts each has its own entrants; others stay one."""
        two = [checkouts.Checkout("old", ROOT), checkouts.Checkout("new", ROOT)]
        family = scenarios.select(["storm"])[0]
        found = [each.name for each in scenarios.entrants(family, ["auto*", "chatd-json"], two)]
        self.assertEqual(found, ["autobahn", "chatd-json@old", "chatd-json@new"])

    def test_reference(self) -> None:
        """Whom others are compared to is the family's reference, or else the first one there."""
        names = ["a", "b@old", "b@new"]
        self.assertEqual(scenarios.against(names, "b"), "b@old")
        self.assertEqual(scenarios.against(names, "z"), "a")
        self.assertEqual(scenarios.first_checkout(names, "b@new"), "b@old")
        self.assertEqual(scenarios.first_checkout(names, "a"), "")


class SkipTests(SynchronousTestCase):
    """What is missing is skipped by name."""

    def test_module(self) -> None:
        """A Python module that is not there is named."""
        peer = Peer("x", "raw", "/", "python", ("x.py",), "no_such_module.inner")
        self.assertIn("no_such_module is not installed", servers.missing(peer) or "")
        self.assertIsNone(servers.missing(PEERS["autobahn"]))

    def test_package(self) -> None:
        """So is an npm package."""
        peer = Peer("x", "raw", "/", "node", ("x.mjs",), "no-such-package")
        self.assertRegex(servers.missing(peer) or "", "node is not|no-such-package is not")

    def test_setting(self) -> None:
        """A checkout without a setting does not take part where it is needed."""
        here = checkouts.Checkout("here", ROOT)
        asked = {"limits.text_chars": 5, "limits.no_such": 1}
        entrant = scenarios.Entrant(name="x", peer="chatd-json", settings=asked, checkout=here)
        self.assertEqual(
            rounds.unable(entrant, {}, 1000), "this chatd has no setting limits.no_such"
        )

    def test_descriptors(self) -> None:
        """So does nobody where a process may not have as many connections."""
        entrant = scenarios.Entrant(name="x", peer="chatd-json")
        self.assertIn("may have 1024", rounds.unable(entrant, {"connections": 1000}, 1024))
        self.assertEqual(rounds.unable(entrant, {"connections": 500}, 1024), "")

    def test_shown(self) -> None:
        """Who was skipped is named below the tables, each reason once."""
        runs = [
            Run("fanout", case, "bun-publish", 0, "skipped", "no npm")
            for case in (CASE, {"connections": 1})
        ]
        text = report.text(result(*runs, run("a", 1)))
        self.assertIn("Skipped:\n  bun-publish (fanout): no npm\n", text)


class ReportTests(SynchronousTestCase):
    """Tables for people."""

    def test_numbers(self) -> None:
        """A number has three digits that matter."""
        for value, shown in (
            *((2456789, "2 456 789"), (123.4, "123"), (93.44, "93.4"), (5, "5.00")),
            *((0.01234, "0.0123"), (0, "0")),
        ):
            self.assertEqual(report.number(value), shown)

    def test_ratio(self) -> None:
        """A ratio of several rounds is shown with its spread."""
        self.assertEqual(report.ratio(figures.Spread(2, 1, 3.456, 3)), "2.00 (1.00..3.46)")
        self.assertEqual(report.ratio(figures.Spread(2, 2, 2, 1)), "2.00")
        self.assertEqual(report.ratio(None), "")

    def test_table(self) -> None:
        """A case is shown in the order of the table, beside its reference."""
        runs = [run("chatd-json", 1, 3e6, load_bound=True), run("bun-publish", 1, 2e6)]
        self.assertEqual(
            report.aligned(report.table("fanout", runs)),
            [
                "             k deliveries/s  × bun-publish",
                "bun-publish           2 000           1.00",
                "chatd-json            3 000           1.50  load-bound",
            ],
        )

    def test_failed(self) -> None:
        """A failed run is shown as failed, with the words, in its table and below all of them."""
        runs = [run("a", 1, 7e9, status="failed", why="2 missing"), run("a", 2, 1e3)]
        made = result(*runs)
        text = report.text(made)
        self.assertIn("FAILED 1 of 2: 2 missing", text)
        self.assertIn("FAILED: 1 of 2 runs", text)
        self.assertNotIn("7 000 000", text)
        self.assertFalse(made.is_good)

    def test_disturbed(self) -> None:
        """A figure is marked when others had a part of the cores."""
        runs = [Run("fanout", CASE, "a", 1, "ok", "", {"deliveries_per_s": 1, "others_cores": 0.5})]
        self.assertEqual(report.table("fanout", runs)[1][-1], "disturbed (others had 0.5 cores)")

    def test_markdown(self) -> None:
        """A table of Markdown has no empty column, and no bar within a cell."""
        lines = report.markdown([["", "n", ""], ["a|b", "1", ""]])
        self.assertEqual(lines, ["|  | n |", "| --- | ---: |", "| a\\|b | 1 |"])


class ResultTests(SynchronousTestCase):
    """The saved file."""

    def test_round_trip(self) -> None:
        """What was written is read back."""
        made = result(run("a", 1, 12345), run("b", 0, status="skipped", why="no npm"))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "result.json")
            results.write(made, file)
            again = results.read(file)
        self.assertEqual(list(again.runs), list(made.runs))
        self.assertEqual((again.versions, again.date), (made.versions, made.date))

    def test_no_result(self) -> None:
        """A file that is something else is refused in words."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "result.json")
            for text in ("", "[]", '{"runs": 3}', '{"runs": [], "date": ""}'):
                file.write_text(text)
                self.assertRaisesRegex(ValueError, "not a saved result", results.read, file)


class TargetTests(SynchronousTestCase):
    """The table of targets."""

    TARGET = targets.Target(
        what="x",
        family="fanout",
        case={"in_flight": 64},
        figure="deliveries_per_s",
        entrant="a",
        reference="b",
        limit=2,
        least=True,
    )

    def test_verdicts(self) -> None:
        """A target is reached by its median, missed below it, and open when nobody looked."""
        for value, verdict in ((20, "reached"), (19, "missed")):
            made = targets.look_up(self.TARGET, result(run("a", 1, value), run("b", 1, 10)))
            self.assertEqual(made.verdict, verdict)
        made = targets.look_up(self.TARGET, result())
        self.assertEqual((made.words, made.verdict), ("not measured", ""))
        self.assertEqual(self.TARGET.words, "≥ 2 × b")

    def test_failed(self) -> None:
        """A failed run misses the target, however fast the others were."""
        runs = [run("a", 1, 90), run("b", 1, 10), run("a", 2, status="failed")]
        made = targets.look_up(self.TARGET, result(*runs))
        self.assertEqual(made, targets.Measured("9.00, and 1 runs failed", "missed"))
        made = targets.look_up(self.TARGET, result(*runs[1:]))
        self.assertEqual(made, targets.Measured("failed", "missed"))


class PageTests(SynchronousTestCase):
    """docs/performance.md."""

    def test_committed(self) -> None:
        """The page shows the committed result, and nothing else."""
        made = page.blocks(results.read(ROOT / "benchmarks" / "result.json"))
        text = page.PAGE.read_text()
        self.assertEqual(page.fill_in(text, made), text)

    def test_nothing_private(self) -> None:
        """The committed result tells no paths and no names of hosts."""
        text = (ROOT / "benchmarks" / "result.json").read_text()
        for word in ("/home", "/tmp", "/work", str(ROOT)):
            self.assertNotIn(word, text)

    def test_fill_in(self) -> None:
        """What was between the marks goes, what is around them stays."""
        text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
        self.assertEqual(
            page.fill_in(text, {"x": "new\n"}),
            "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n",
        )
        self.assertRaisesRegex(ValueError, "'y'", page.fill_in, text, {"y": ""})

    def test_pictures(self) -> None:
        """Pictures have no figure of who failed; bars begin with the least."""
        runs = [
            run("node-ws", 1, 5),
            run("chatd-json", 1, 9, status="failed"),
            run("node-ws", 1, 3, case={"connections": 1000, "in_flight": 64}),
            run("chatd-json", 1, 8, family="memory", figure="kib_per_connection"),
            run("node-ws", 1, 7, family="memory", figure="kib_per_connection"),
        ]
        lines = pictures.throughput(result(*runs), 64)
        self.assertEqual(
            [(line.entrant, line.places) for line in lines], [("node-ws", [200, 1000])]
        )
        bars = pictures.bars(result(*runs), "memory", "kib_per_connection")
        self.assertEqual([bar.entrant for bar in bars], ["node-ws", "chatd-json"])

    def test_labels(self) -> None:
        """People see names of programs; what has none is called as in the tables."""
        self.assertEqual(pictures.label("node-ws"), "Node ws, the demo's loop")
        self.assertEqual(pictures.label("chatd-json-tls"), "chatd, JSON door, TLS")
        self.assertEqual(pictures.label("chatd-json@old"), "chatd-json@old")

    def test_all_shown(self) -> None:
        """The page shows every picture that is drawn."""
        for name in pictures.PICTURES:
            self.assertIn(f"](pictures/{name}.svg)", page.PAGE.read_text())


class MachineTests(SynchronousTestCase):
    """Where it runs."""

    def test_one_core(self) -> None:
        """On one core nothing is measured, and it is said why."""
        self.assertRaisesRegex(machine.NotHereError, "one core", machine.choose, {3})

    def test_two_cores(self) -> None:
        """Server and load have a core each."""
        cores = machine.choose({0, 1})
        self.assertEqual({cores.server_core, cores.load_core}, {0, 1})


class CommandTests(SynchronousTestCase):
    """The command line."""

    def plans(self, *words: str) -> list[rounds.Plan]:
        """What would be measured."""
        said = argparse.Namespace(
            **{"only": [], "peers": [], "connections": [], "in_flight": [], "size": []},
            quick=False,
        )
        said = cli._parser().parse_args(words, said)
        return cli.plans(said, checkouts.parse(said.chatd or [str(ROOT)]))

    def test_selection(self) -> None:
        """A family, a case and two entrants can be asked for alone."""
        words = ("--only", "fanout", "--peers", "bun-publish,chatd-j*")
        (plan,) = self.plans(*words, "--connections", "200", "--in-flight", "64")
        self.assertEqual(plan.case, CASE)
        self.assertEqual([each.name for each in plan.entrants], ["bun-publish", "chatd-json"])

    def test_refused(self) -> None:
        """Names of nobody, and selections of nothing, are refused."""
        self.assertRaisesRegex(ValueError, "nobody is called 'bum'", self.plans, "--peers", "bum")
        self.assertRaisesRegex(
            ValueError, "none of these", self.plans, "--only", "history", "--peers", "node-ws"
        )

    def test_checkouts(self) -> None:
        """A checkout has a label that is told, its folder's name, or that with a number."""
        labels = [each.label for each in checkouts.parse([str(ROOT), f"x={ROOT}", str(ROOT)])]
        self.assertEqual(labels, [ROOT.name, "x", f"{ROOT.name}-2"])
        self.assertEqual(checkouts.parse([f"a /b={ROOT}"])[0].label, "a-b")
        self.assertRaisesRegex(ValueError, "no chatd", checkouts.parse, [str(ROOT / "docs")])


class ShapeTests(SynchronousTestCase):
    """The modules."""

    def test_lengths(self) -> None:
        """None is longer than 400 lines."""
        for path in (ROOT / "benchmarks").glob("*.py"):
            self.assertLessEqual(len(path.read_text().splitlines()), 400, path.name)
