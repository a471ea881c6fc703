"""The peer of `features-talipp`: talipp's classes over bars, in an environment of its own.

Argument: a JSON file, a list of bars [open, high, low, close, volume]. Prints one JSON object.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from talipp import indicators as i
from talipp.ohlcv import OHLCV

_WARM = 500
_RUNS = 5


def _of_closes() -> list[Any]:
    """The indicators of one price that we have, too, with our parameters."""
    return [
        i.SMA(20), i.EMA(20), i.WMA(20), i.DEMA(20), i.TEMA(20), i.KAMA(30, 2, 30), i.T3(5, 0.7),
        i.BB(20, 2), i.MACD(12, 26, 9), i.ROC(10), i.RSI(14), i.StochRSI(14, 5, 3, 3), i.TRIX(30),
        i.StdDev(20),
        # Ours on bars of five minutes.
        i.EMA(20), i.RSI(14), i.MACD(12, 26, 9),
    ]  # fmt: skip


def _of_bars() -> list[Any]:
    """The indicators of whole bars."""
    return [
        i.ParabolicSAR(0.02, 0.02, 0.2), i.ADX(14, 14), i.Aroon(14), i.BOP(), i.CCI(14),
        i.Stoch(5, 3), i.UO(7, 14, 28), i.Williams(14), i.AccuDist(), i.ChaikinOsc(3, 10), i.OBV(),
        i.ATR(14), i.NATR(14), i.ATR(14),
    ]  # fmt: skip


def _us(rows: list[list[float]]) -> float:
    closes, whole = _of_closes(), _of_bars()
    bars = [OHLCV(*row) for row in rows]
    began = 0
    for number, bar in enumerate(bars):
        if number == _WARM:
            began = time.process_time_ns()
        for each in closes:
            each.add(bar.close)
        for each in whole:
            each.add(bar)
        # It keeps all values unless it is told to forget, which costs more.
    return (time.process_time_ns() - began) / 1e3 / (len(bars) - _WARM)


def main() -> None:
    """Time all of them over all bars, several times."""
    rows = json.loads(Path(sys.argv[1]).read_text())
    times = [_us(rows) for _ in range(_RUNS)]
    print(json.dumps({"us": times, "classes": len(_of_closes()) + len(_of_bars())}))


if __name__ == "__main__":
    main()
