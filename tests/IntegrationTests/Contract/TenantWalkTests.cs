using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>Every route with another tenant's ids: in the path, the body and the query. A new route without a sample makes these fail.</summary>
internal sealed class TenantWalkTests
{
    private TestHost _host = null!;
    private ApiDocument _document = null!;
    private Resources _mine = null!;
    private Resources _theirs = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync(("RATE_LIMIT_PER_KEY", "off"));
        _document = await ApiDocument.OfAsync(_host, "v1");
        _mine = await Resources.MakeAsync(await _host.SignUpAsync("Mine"));
        _theirs = await Resources.MakeAsync(await _host.SignUpAsync("Theirs"));
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task Another_tenants_id_in_the_path_is_not_found_and_nothing_changes()
    {
        var routes = _document.Operations.Where(o => o.Path.Contains('{') && o.Scope is not (null or "platform")
            && o.Id is not ("putSecret" or "getStatement")).ToList();     // A name, and a month, belong to everybody.
        Assert.That(routes, Has.Count.GreaterThan(20));
        var before = await LookAsync(_mine);
        foreach (var route in routes)
        {
            var answer = await _host.SendAsync(new HttpMethod(route.Method), _mine.PathOf(route), _theirs.Owner.Key, _theirs.Real(route.Example)?.ToJsonString());
            Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.NotFound), $"{route}: {answer.Body?.ToJsonString()}");
            Assert.That(answer.Code, Does.EndWith("not_found"), route.ToString());
            Assert.That(route.Documents(404), Is.True, $"{route} does not document 404.");
        }

        Assert.That(await LookAsync(_mine), Is.EqualTo(before), "What another tenant asked for has changed something here.");
    }

    [Test]
    public async Task Another_tenants_id_in_the_body_is_refused()
    {
        var tried = 0;
        var before = await LookAsync(_mine);
        foreach (var route in _document.Operations.Where(o => o.Example is not null && o.Scope is not (null or "platform")))
        {
            foreach (var (example, mine) in _mine.Ids.Where(id => id.Key != Resources.Secret && route.Example!.ToJsonString().Contains(id.Key, StringComparison.Ordinal)))
            {
                tried++;
                var body = _theirs.Real(route.Example)!.ToJsonString().Replace(_theirs.Ids[example], mine, StringComparison.Ordinal);
                var answer = await _host.SendAsync(new HttpMethod(route.Method), _theirs.PathOf(route), _theirs.Owner.Key, body);
                Assert.That(answer.Status, Is.AnyOf(HttpStatusCode.NotFound, HttpStatusCode.UnprocessableEntity), $"{route} with {example}: {answer.Body?.ToJsonString()}");
                if (answer.Status is HttpStatusCode.UnprocessableEntity)
                {
                    Assert.That(answer.Fields, Has.Some.EndsWith("_id"), $"{route}: {answer.Body?.ToJsonString()}");
                }
            }
        }

        Assert.That(tried, Is.GreaterThan(4));
        Assert.That(await LookAsync(_mine), Is.EqualTo(before));
    }

    [Test]
    public async Task Another_tenants_id_in_the_query_finds_nothing()
    {
        var tried = 0;
        foreach (var route in _document.Operations.Where(o => o is { Method: "GET", Scope: not (null or "platform") } && !o.Path.Contains('{')))
        {
            foreach (var name in route.Parameters.Where(p => p["in"]!.GetValue<string>() == "query").Select(p => p["name"]!.GetValue<string>()).Where(n => n.EndsWith("_id", StringComparison.Ordinal) || n == "starting_after"))
            {
                foreach (var id in _mine.Ids.Values)
                {
                    tried++;
                    var answer = await _host.SendAsync(HttpMethod.Get, $"{route.Path}?{name}={id}", _theirs.Owner.Key);
                    Assert.That((int)answer.Status, Is.AnyOf(200, 404, 422), $"{route}?{name}={id}");
                    Assert.That(
                        _mine.Ids.Values.Where(v => v.Length > 5 && v != id).Where(v => answer.Body!.ToJsonString().Contains(v, StringComparison.Ordinal)), Is.Empty,
                        $"{route}?{name}={id} tells another tenant's ids.");
                }
            }
        }

        Assert.That(tried, Is.GreaterThan(20));
    }

    [Test]
    public async Task A_list_never_holds_another_tenants_rows()
    {
        var ids = _mine.Ids.Values.Where(v => v.Length > 5).ToList();
        foreach (var route in _document.Operations.Where(o => o is { Method: "GET", Scope: not (null or "platform") } && !o.Path.Contains('{')))
        {
            var answer = await _host.SendAsync(HttpMethod.Get, route.Path, _theirs.Owner.Key);
            var text = answer.Body?.ToJsonString() ?? "";
            Assert.That(ids.Where(id => text.Contains(id, StringComparison.Ordinal)), Is.Empty, route.ToString());
        }
    }

    /// <summary>Everything of a tenant that can be read, as it reads now; without what time alone changes.</summary>
    private async Task<IReadOnlyList<string>> LookAsync(Resources tenant)
    {
        var seen = new List<string>();
        foreach (var route in _document.Operations.Where(o => o is { Method: "GET", Scope: not (null or "platform") } && o.Tag is not ("Analytics" or "Webhooks" or "Deliveries" or "Keys")))
        {
            var answer = await tenant.SendAsync(route);
            (answer.Body as JsonObject)?.Remove("as_of");
            (answer.Body as JsonObject)?.Remove("request_id");
            (answer.Body as JsonObject)?.Remove("deliveries");      // Tried again meanwhile.
            var text = answer.Body?.ToJsonString() ?? "";
            seen.Add($"{route} {(int)answer.Status} {SyncState.Replace(text, "")}");
        }

        return seen;
    }

    /// <summary>A trunk reaches the media server in its own time.</summary>
    private static readonly System.Text.RegularExpressions.Regex SyncState = new("\"sync\":\\{[^}]*\\}", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(1));
}
