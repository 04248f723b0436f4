// Another endpoint has other realms; the usual ones are offered where they cannot be read. Without this script the first endpoint's are.
(function () {
  var endpoint = document.getElementById("endpoint");
  var realm = document.getElementById("realm");
  if (!endpoint || !realm) return;
  var usual = JSON.parse(realm.dataset.usual);
  endpoint.addEventListener("change", function () {
    var asked = endpoint.value;
    fetch(realm.dataset.source + "?endpoint=" + encodeURIComponent(asked), { headers: { Accept: "application/json" } })
      .then(function (answer) { return answer.ok ? answer.json() : { realms: [] }; })
      .catch(function () { return { realms: [] }; })
      .then(function (found) {
        if (endpoint.value !== asked) return;
        var offered = found.realms.length ? found.realms : usual;
        realm.replaceChildren.apply(realm, offered.map(function (one) {
          return new Option(one.comment ? one.name + ": " + one.comment : one.name, one.name);
        }));
      });
  });
})();
