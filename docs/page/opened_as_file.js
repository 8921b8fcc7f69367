// A page that is opened as a file may load no modules and start no workers: it says what to do.

if (location.protocol === "file:") {
  document.getElementById("status").textContent =
    "This page has to come from a server, which may be this computer. In its folder, run python -m http.server, and open http://localhost:8000/ here.";
}
