// For browsers without modules, so written as they like it.
(function () {
  var status = document.getElementById("status-words");
  var error = document.getElementById("error");
  status.firstChild.nodeValue = "WebSocket is closed.";
  error.removeAttribute("hidden");
  error.appendChild(
    document.createTextNode(
      "This browser is too old for this page. Please use a current Firefox, Chrome, Edge or Safari."
    )
  );
})();
