# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface, like the kubelet: runtime.v1 over a unix socket.

Requests and answers are dictionaries with the names of api.proto. Only the fields that the cases use are
known here; other fields of an answer are ignored.
"""

import grpc

from harness import Failed

# NAME=NUMBER, and :MESSAGE if the field is not a number, text or flag. The numbers are api.proto's.
FIELDS = {
    "CPUUsage": "usage_core_nano_seconds=2:Value",
    "Capability": "add_capabilities=1 drop_capabilities=2",
    "Container": "id=1 pod_sandbox_id=2 state=6",
    "ContainerConfig": "metadata=1:Metadata image=2:ImageSpec command=3 args=4 working_dir=5 envs=6:KeyValue"
    " mounts=7:Mount log_path=11 stdin=12 tty=14 linux=15:LinuxContainerConfig",
    "ContainerStats": "cpu=2:CPUUsage memory=3:MemoryUsage",
    "ContainerStatus": "id=1 state=3 exit_code=7 reason=10 message=11",
    "CreateContainerRequest": "pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig",
    "CreateContainerResponse": "container_id=1",
    "ContainerStatsRequest": "container_id=1",
    "ContainerStatsResponse": "stats=1:ContainerStats",
    "ContainerStatusRequest": "container_id=1",
    "ContainerStatusResponse": "status=1:ContainerStatus",
    "ExecSyncRequest": "container_id=1 cmd=2 timeout=3",
    "ExecSyncResponse": "stdout=1 stderr=2 exit_code=3",
    "IDMapping": "host_id=1 container_id=2 length=3",
    "ImageSpec": "image=1",
    "KeyValue": "key=1 value=2",
    "LinuxContainerConfig": "resources=1:Resources security_context=2:SecurityContext",
    "LinuxPodSandboxConfig": "cgroup_parent=1 security_context=2:SandboxSecurityContext",
    "ListContainersRequest": "",
    "ListContainersResponse": "containers=1:Container",
    "ListPodSandboxRequest": "",
    "ListPodSandboxResponse": "items=1:PodSandbox",
    "MemoryUsage": "working_set_bytes=2:Value usage_bytes=4:Value",
    "Metadata": "name=1 attempt=2",
    "Mount": "container_path=1 host_path=2 readonly=3",
    "NamespaceOption": "network=1 pid=2 ipc=3 target_id=4 userns_options=5:UserNamespace",
    "PodSandbox": "id=1 state=3",
    "PodSandboxConfig": "metadata=1:PodSandboxMetadata hostname=2 log_directory=3 linux=8:LinuxPodSandboxConfig",
    "PodSandboxMetadata": "name=1 uid=2 namespace=3 attempt=4",
    "RemoveContainerRequest": "container_id=1",
    "RemovePodSandboxRequest": "pod_sandbox_id=1",
    "Resources": "cpu_period=1 cpu_quota=2 cpu_shares=3 memory_limit_in_bytes=4 oom_score_adj=5 cpuset_cpus=6",
    "RunPodSandboxRequest": "config=1:PodSandboxConfig runtime_handler=2",
    "RunPodSandboxResponse": "pod_sandbox_id=1",
    "SandboxSecurityContext": "namespace_options=1:NamespaceOption privileged=6 seccomp=9:SecurityProfile",
    "SecurityContext": "capabilities=1:Capability privileged=2 namespace_options=3:NamespaceOption"
    " run_as_user=5:Value readonly_rootfs=7 supplemental_groups=8 no_new_privs=11 masked_paths=13"
    " readonly_paths=14 seccomp=15:SecurityProfile apparmor=16:SecurityProfile",
    "SecurityProfile": "profile_type=1 localhost_ref=2",
    "StartContainerRequest": "container_id=1",
    "StopContainerRequest": "container_id=1 timeout=2",
    "StopPodSandboxRequest": "pod_sandbox_id=1",
    "UpdateContainerResourcesRequest": "container_id=1 linux=2:Resources",
    "UserNamespace": "mode=1 uids=2:IDMapping gids=3:IDMapping",
    "Value": "value=1",
    "VersionRequest": "version=1",
    "VersionResponse": "runtime_name=2 runtime_version=3 runtime_api_version=4",
}
# enum NamespaceMode
POD, CONTAINER, NODE, TARGET = range(4)


def fields(message):
    """The fields of a message: name, number, and the message type if it has one."""
    for word in FIELDS[message].split():
        name, _, rest = word.partition("=")
        number, _, inner = rest.partition(":")
        yield name, int(number), inner


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def encode(message, values):
    """The bytes of a message. Source: protobuf's encoding, wire types 0 and 2."""
    unknown = set(values) - {name for name, _, _ in fields(message)}
    if unknown:
        raise LookupError(f"{message} has no {', '.join(unknown)} here")
    out = b""
    for name, number, inner in fields(message):
        given = values.get(name, [])
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
                continue
            data = encode(inner, value) if inner else value.encode()
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(message, data):
    """The known fields of a message; a field that is or may be repeated is a list."""
    known = {number: (name, inner) for name, number, inner in fields(message)}
    found, place = {}, 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            size = number()
            value = data[place : place + size]
            place += size
        else:
            raise ValueError(f"{message}: wire type {key & 7}")
        name, inner = known.get(key >> 3, ("", ""))
        if isinstance(value, bytes):
            value = decode(inner, value) if inner else value.decode(errors="replace")
        if name in ("containers", "items"):
            found.setdefault(name, []).append(value)
        elif name:
            found[name] = value
    return found


class Client:
    """Calls the runtime service at a socket."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def call(self, method, limit=120, **values):
        """One call; an error of the service fails the case, with the error's text."""
        request = encode(f"{method}Request", values)
        answer = "Response" if f"{method}Response" in FIELDS else ""
        remote = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
        try:
            data = remote(request, timeout=limit, wait_for_ready=True)
        except grpc.RpcError as error:
            raise Failed(f"{method}: {error.code().name}: {error.details()}") from None
        return decode(method + answer, data) if answer else {}

    def close(self):
        self.channel.close()
