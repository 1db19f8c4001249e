"""Messages and the compiler of .proto files are the extra ``grpc``: without it, as in ``tox -e unit``, these rest."""

from importlib.util import find_spec

if find_spec("grpc_tools") is None:
    collect_ignore = ["test_descriptors.py", "test_json.py"]
