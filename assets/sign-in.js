// Another endpoint has other realms. Without this script the first endpoint's are offered.
(function () {
  var endpoint = document.getElementById("endpoint");
  var realm = document.getElementById("realm");
  if (!endpoint || !realm) return;
  endpoint.addEventListener("change", function () {
    var asked = endpoint.value;
    fetch(realm.dataset.source + "?endpoint=" + encodeURIComponent(asked), { headers: { Accept: "application/json" } })
      .then(function (answer) { return answer.ok ? answer.json() : { realms: [] }; })
      .then(function (found) {
        if (endpoint.value !== asked || !found.realms.length) return;
        realm.replaceChildren.apply(realm, found.realms.map(function (one) {
          return new Option(one.comment ? one.name + ": " + one.comment : one.name, one.name);
        }));
      })
      .catch(function () { return null; });
  });
})();
