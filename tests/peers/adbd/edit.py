"""Makes unpacked AOSP sources listen where they are told, off Android: edit.py SOURCE.

Two places, found by what stands there; where that is not found, nothing is built.
"""

import pathlib
import sys


def replace(path, old, new):
    text = path.read_text()
    if text.count(old) != 1:
        sys.exit(f"{path}: expected once, found {text.count(old)} times: {old!r}")
    path.write_text(text.replace(old, new))


def main():
    adb = pathlib.Path(sys.argv[1]) / "system" / "core" / "adb"
    # The property that says where to listen exists on Android only; here a variable stands in for it.
    address = 'std::string prop_addr = android::base::GetProperty("service.adb.listen_addrs", "");'
    variable = 'if (prop_addr.empty() && getenv("ADBD_LISTEN")) prop_addr = getenv("ADBD_LISTEN");'
    replace(adb / "daemon" / "main.cpp", address, f"{address}\n    {variable}")
    # errno may be left from an address family that was tried before the one that worked.
    given_up = "if (errno == EAFNOSUPPORT || errno == EINVAL || errno == EPROTONOSUPPORT) {"
    mended = given_up.replace("if (", "if (serverfd < 0 && (").replace(") {", ")) {")
    replace(adb / "transport_local.cpp", given_up, mended)


if __name__ == "__main__":
    main()
