"""A page that uses a WebSocket and server-sent events, and then asks for /done with what it got."""

PAGE = """<!doctype html>
<title>corn</title>
<pre id="seen"></pre>
<script>
const seen = {ws: "", events: []};
function show() {
  document.getElementById("seen").textContent = JSON.stringify(seen, null, 1);
  if (seen.ws && seen.events.length === 3)
    fetch(`/done?ws=${encodeURIComponent(seen.ws)}&events=${seen.events.length}`);
}
const socket = new WebSocket(`ws://${location.host}/ws`);
socket.onopen = () => socket.send("browser");
socket.onmessage = message => { seen.ws = message.data; show(); };
const source = new EventSource("/events");
source.onmessage = message => {
  seen.events.push(message.data);
  if (seen.events.length === 3) source.close();
  show();
};
</script>
"""
