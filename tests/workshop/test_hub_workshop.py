"""A hub with its proxy, two participants and an instructor: what each can do, and cannot.

The tests are in the order of a day: people come in, work, are restarted, and leave.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from benchmarks.participant import wait_until
from tests.workshop.conftest import SECRET, at_work, server_of
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.locations import project_root
from workshop.limits import Limits, NoLimitsError
from workshop.user_numbers import processes_of

NOTEBOOKS = sorted(path.name for path in (project_root() / "notebooks").glob("*.ipynb"))
RECORD = (
    "from workbook_lib.lesson import progress\nprogress.record('exercise', id={!r}, status={!r})"
)
CLOSED = ("PermissionError", "FileNotFoundError")


def refused(answer):
    return answer.status_code in (403, 404)


def test_a_wrong_code_lets_nobody_in(hub):
    stranger = hub.visitor("eve")
    answer = stranger.sign_in("aaaa-bbbb", "a password")
    assert answer.status_code == 403
    assert "not the workshop" in answer.text
    assert "eve" not in hub.folder.read("passwords")


def test_the_instructor_needs_a_code_of_their_own(hub):
    for code, password in ((hub.code(), hub.code()), (hub.code(), "a password")):
        assert hub.visitor("instructor").sign_in(code, password).status_code == 403
        assert hub.visitor(" Instructor").sign_in(code, password).status_code == 403


def test_everybody_has_their_own_notebooks(hub, ada, bob):
    for visitor in (ada, bob):
        assert set(NOTEBOOKS) <= set(visitor.names_in("notebooks"))
    ada.api("DELETE", f"api/contents/notebooks/{NOTEBOOKS[3]}")
    assert NOTEBOOKS[3] not in ada.names_in("notebooks")
    assert NOTEBOOKS[3] in bob.names_in("notebooks")
    assert (project_root() / "notebooks" / NOTEBOOKS[3]).exists()


def test_a_spoilt_lesson_is_begun_anew_from_a_cell(hub, bob):
    lesson = f"notebooks/{NOTEBOOKS[2]}"
    content = bob.api("GET", f"api/contents/{lesson}").json()["content"]
    assert not [cell for cell in content["cells"] if cell.get("outputs")]
    content["cells"] = content["cells"][:1]
    bob.api("PUT", f"api/contents/{lesson}", json={"type": "notebook", "content": content})
    told = bob.work.run("!workbook fresh 12")
    assert f"{lesson}: new; your file is now" in told
    again = bob.api("GET", f"api/contents/{lesson}").json()["content"]
    assert len(again["cells"]) > 10
    kept = [name for name in bob.names_in("notebooks") if "(my work, " in name]
    assert len(kept) == 1


def test_nobody_comes_in_as_somebody_else(hub, ada):
    for password in ("ada's", "another", ""):
        assert hub.visitor("ada").sign_in(hub.code(), password).status_code == 403
    assert "This name is taken" in hub.visitor("ada").sign_in(hub.code(), "another").text
    assert hub.visitor(" ADA ").sign_in(hub.code(), "not ada's own").status_code == 403
    assert hub.visitor("Ada").sign_in(hub.code().upper(), "ada's own").status_code == 200


def test_what_is_anothers_is_refused(hub, ada, bob):
    notebook = f"files/notebooks/{NOTEBOOKS[1]}"
    assert ada.api("GET", notebook).status_code == 200
    extensions = ("workbook/netron/page/", "varhandle/models")
    for path in ("api/contents", notebook, "api/kernels", "api/sessions", *extensions):
        assert refused(bob.api("GET", path, of="ada")), path
    assert refused(bob.ask("GET", f"{hub.address}/hub/api/users/ada"))
    assert refused(bob.ask("DELETE", f"{hub.address}/hub/api/users/ada/server"))


def test_anothers_token_is_refused(hub, ada, bob):
    token = bob.work.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    headers = {"Authorization": f"token {token}"}
    own = requests.get(f"{hub.address}/user/bob/api/contents", headers=headers, timeout=30)
    assert own.status_code == 200
    other = requests.get(f"{hub.address}/user/ada/api/contents", headers=headers, timeout=30)
    assert refused(other)


def test_each_is_a_user_of_their_own_without_rights(hub, ada, bob):
    numbers = {int(visitor.work.run("import os; print(os.getuid())")) for visitor in (ada, bob)}
    assert len(numbers) == 2
    assert numbers < set(hub.numbers) - {hub.numbers[0]}
    assert os.getuid() not in numbers
    status = dict(
        line.split(":\t", 1)
        for line in ada.work.run("print(open('/proc/self/status').read())").splitlines()
        if ":\t" in line
    )
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Groups"].strip() in ("", status["Gid"].split()[0])


def test_anothers_home_cannot_be_read(hub, ada, bob):
    homes = hub.folder.homes
    assert {path.name for path in homes.iterdir()} >= {"ada", "bob"}
    for path in (homes / "ada", homes / "ada" / "notebooks", hub.folder.state, hub.folder.logs):
        told = bob.work.run(f"import os; os.listdir({str(path)!r})")
        assert told in CLOSED, path
    assert "ada" not in bob.work.run(f"import os; print(os.listdir({str(homes)!r}))")


def test_a_home_is_closed_even_to_who_sees_it(hub, ada, bob):
    """The second wall: as another of the class's users, and without a view of one's own."""
    home = hub.folder.homes / "ada"
    assert home.stat().st_mode & 0o777 == 0o700
    other = hub.numbers[-1]
    look = f"import os; os.setgid({other}); os.setuid({other}); os.listdir({str(home)!r})"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd="/", capture_output=True, text=True, check=False
    )
    assert "PermissionError" in done.stderr


def test_anothers_processes_cannot_be_looked_into(hub, ada, bob):
    pid = int(ada.work.run("import os; print(os.getpid())"))
    assert psutil.Process(pid).uids().real in hub.numbers
    for what in ("environ", "maps", "fd", "root"):
        path = f"/proc/{pid}/{what}"
        look = f"open({path!r}).read()" if what in ("environ", "maps") else f"os.listdir({path!r})"
        told = bob.work.run(f"import os; {look}")
        assert told in CLOSED, what
    assert bob.work.run(f"import os; os.kill({pid}, 0)") in (
        "PermissionError",
        "ProcessLookupError",
    )


def test_no_fork_server_has_an_address_that_another_could_ask(hub, ada):
    """Whoever could speak to one would be who it is: root, or another participant."""
    server = server_of(ada)
    forked = [one for one in server.children() if one.cmdline() == server.cmdline()]
    assert len(forked) == 1  # what the server's kernels are forked from
    for process in (server_zygote(hub), *forked):
        assert not [one.laddr for one in process.net_connections("unix") if one.laddr]


def test_a_kernel_speaks_through_files_that_are_closed_to_others(ada):
    """Whoever connects to a kernel's port hears its outputs: nothing there asks for a key."""
    told = ada.work.run(
        "import json; from ipykernel.connect import get_connection_info as info\n"
        "print(json.dumps({**info(unpack=True), 'key': None}))"
    )
    known = json.loads(told)
    assert known["transport"] == "ipc"
    assert known["ip"].startswith("/tmp/jupyter/")


def test_servers_and_kernels_are_forked_from_a_warm_one(hub, ada, bob):
    servers = [server_of(visitor) for visitor in (ada, bob)]
    assert [server.parent() for server in servers] == [server_zygote(hub)] * 2
    for server in servers:
        assert "_pywrap_tensorflow" in Path(f"/proc/{server.pid}/maps").read_text()
    told = ada.work.run("import psutil; print(psutil.Process().parent().parent().pid)")
    assert int(told) == servers[0].pid


def server_zygote(hub):
    """Return the process that servers are forked from."""
    (found,) = (
        process
        for process in hub_process(hub).children()
        if any(part.endswith("warm_kernels/zygote.py") for part in process.cmdline())
    )
    return found


def test_nothing_of_roots_is_left_in_a_forked_server(hub, ada):
    # What a process was started with stands in its memory, and in that of all its forks.
    assert SECRET in Path(f"/proc/{hub._process.pid}/environ").read_text()
    server = server_of(ada).pid
    for name in ("self", server):
        assert SECRET not in ada.work.run(f"print(open('/proc/{name}/environ').read())")
    files = Path(f"/proc/{server}/fd")
    opened = {str(path.readlink()) for path in files.iterdir()}
    log = str(hub.folder.logs / "ada.log")
    home = hub.folder.homes / "ada"
    assert [
        name
        for name in opened
        if Path(name).is_relative_to(hub.folder.folder) and not Path(name).is_relative_to(home)
    ] == [log]


def test_a_server_zygote_that_dies_is_replaced(hub, ada):
    before = server_zygote(hub)
    before.kill()
    assert ada.work.run("print('here')") == "here"
    cyd = at_work(hub, "cyd")
    assert server_of(cyd).parent() == server_zygote(hub) != before
    assert ada.is_ready()
    assert ada.api("GET", "api/contents").status_code == 200


def test_a_model_is_diagnosed_from_the_file_browsers_menu(hub, ada, bob):
    told = {"path": "data/half_reader"}
    assert refused(bob.api("POST", "varhandle/diagnose", of="ada", json=told))
    answer = ada.api("POST", "varhandle/diagnose", json=told)
    assert json.loads(answer.text.splitlines()[-1])["verdict"] == "blocked"


def test_a_model_of_another_is_not_shown(hub, ada, bob):
    model = next(path for path in (project_root() / "data").iterdir() if path.suffix == ".keras")
    url = ada.work.run(
        "from pathlib import Path\n"
        "from workbook_lib.netron.tickets import TicketFolder\n"
        "folder = TicketFolder.of_this_kernel()\n"
        f"ticket = folder.write(Path.home() / 'data' / {model.name!r})\n"
        "print(ticket.url, ticket.probe, folder.path)"
    )
    page, probe, folder = url.split()
    assert ada.session.get(f"{hub.address}{page}", timeout=30).status_code == 200
    assert ada.ask("GET", f"{hub.address}{probe}").status_code == 204
    assert refused(bob.ask("GET", f"{hub.address}{probe}"))
    # Nor does the ticket's name do anything at one's own server.
    own = probe.replace("/user/ada/", "/user/bob/")
    assert refused(bob.ask("GET", f"{hub.address}{own}"))
    assert bob.work.run(f"import os; os.listdir({folder!r})") in (
        "PermissionError",
        "FileNotFoundError",
    )


def test_a_cell_that_takes_too_much_ends_its_kernel_alone(hub, ada, bob):
    try:
        Limits.find("workbook-test").remove()
    except NoLimitsError as error:
        pytest.skip(f"no limits on this machine: {error}")
    greedy = ada.kernel()
    assert greedy.run("print(1)") == "1"
    whole = hub.folder.config.settings.memory_bytes
    assert greedy.run(f"x = bytearray({whole}); print(len(x))") in ("dead", "MemoryError")
    assert bob.work.run("print('here')") == "here"
    assert ada.work.run("print('here as well')") == "here as well"
    greedy.close()


def test_the_instructor_sees_who_is_stuck_where(hub, ada, bob):
    instructor = hub.visitor("instructor")
    instructor.sign_in("", hub.code("instructor code"))
    exercise = next(one for notebook in read_outlines() for one in notebook.exercises)
    for _ in range(3):
        ada.work.run(RECORD.format(exercise, "wrong"))
    page = instructor.get("/hub/")  # it is where the instructor comes first
    assert page.status_code == 200
    assert page.url == f"{hub.address}/services/class/"
    assert "ada" in page.text and "bob" in page.text
    assert "instructor" not in page.text
    assert exercise in page.text


def test_one_folder_has_one_hub(hub):
    command = [sys.executable, "-m", "workbook_lib.cli", "hub", f"--folder={hub.folder.folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"workbook: a hub runs in {hub.folder.folder} already\n"
    assert answers(hub)


def test_participants_do_not_see_the_class(hub, ada):
    assert ada.get("/services/class/").status_code == 403
    stranger = requests.get(f"{hub.address}/services/class/", timeout=30)
    assert "/hub/login" in stranger.url


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_hub_that_dies_comes_back_and_nothing_is_lost(hub, ada, bob, end):
    before = ada.work.run("kept = 41; import os; print(os.getpid())")
    dead, its_zygote = hub_process(hub), server_zygote(hub)
    its_services = [one for one in dead.children() if one != its_zygote]
    assert len(its_services) == 2
    getattr(dead, end)()
    assert ada.work.run("kept += 1; print(kept)") == "42", "a cell runs without the hub"
    wait_until(lambda: hub_process(hub) not in (None, dead) and answers(hub), "the hub is back")
    # It waits 10 s for its servers' answers, and asks on while it works.
    hub.wait_until(lambda: ada.is_ready() and bob.is_ready(), "it knows its servers again")
    assert ada.work.run("import os; print(os.getpid())") == before
    assert ada.api("GET", "api/contents").status_code == 200
    assert hub.visitor("ada").sign_in(hub.code(), "ada's own").status_code == 200
    for process in (its_zygote, *its_services):
        wait_until(lambda process=process: has_ended(process), "what it started ends as well")


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def hub_process(hub):
    for process in psutil.Process(hub._process.pid).children():
        with contextlib.suppress(psutil.Error):  # it may have died
            if "jupyterhub_config.py" in " ".join(process.cmdline()):
                return process
    return None


def answers(hub):
    try:
        return requests.get(f"{hub.address}/hub/api/", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_a_server_that_nobody_uses_is_ended_with_all_that_it_started(hub, bob):
    number = int(bob.work.run("import os; print(os.getuid())"))
    bob.work.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
    bob.work._socket.close()
    (own,) = (one for one in hub_process(hub).children() if is_culler(one))
    impatient = [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=1"]
    culler = subprocess.Popen(impatient, env=own.environ(), stderr=subprocess.DEVNULL)
    try:
        own_number = range(number, number + 1)
        hub.wait_until(lambda: not list(processes_of(own_number)), "bob's server ends")
    finally:
        culler.terminate()
        culler.wait()
    wait_until(lambda: not bob.is_ready(), "the hub knows")


def is_culler(process):
    return "jupyterhub_idle_culler" in process.cmdline()


def test_secrets_are_for_root_alone(hub):
    for path in (hub.folder.state, *hub.folder.state.rglob("*")):
        about = path.stat()
        assert about.st_uid == os.getuid()
        assert path.suffix == ".log" or path.name == "lock" or not about.st_mode & 0o077, path
    spoken = set(hub.folder.secrets.values())
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        assert not any(secret in line for secret in spoken)


def test_ctrl_c_ends_everything_and_keeps_the_work(hub, ada):
    ada_home = hub.folder.homes / "ada"
    numbers, port = hub.numbers, hub.folder.config.settings.port
    ada.start_server()  # the culler may have ended it
    number = ada_home.stat().st_uid
    assert list(processes_of(range(number, number + 1)))
    assert hub.stop() == 0
    assert list(processes_of(numbers)) == []
    assert "have ended" in hub.said
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    events = (ada_home / ".workbook" / "progress.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in events]) == 3
    groups = Path("/sys/fs/cgroup").glob(f"memory/workbook-{hub.folder.folder.stat().st_ino}")
    assert not list(groups)
