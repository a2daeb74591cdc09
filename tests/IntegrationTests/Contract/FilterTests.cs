using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>Filters of lists that take a few words take them as every JSON spells them, and name themselves when they refuse another.</summary>
internal sealed class FilterTests
{
    [Test]
    public async Task Every_word_of_a_filter_is_taken_and_no_other()
    {
        await using var host = await TestHost.StartAsync(("RATE_LIMIT_PER_KEY", "off"));
        var document = await ApiDocument.OfAsync(host, "v1");
        var mine = await Resources.MakeAsync(await host.SignUpAsync());
        var filters =
            from operation in document.Operations
            where operation is { Method: "GET", Scope: not (null or "platform") }
            from parameter in operation.Parameters
            where parameter["in"]!.GetValue<string>() == "query" && parameter["schema"]!["enum"] is not null
            select (operation, Name: parameter["name"]!.GetValue<string>(), Words: parameter["schema"]!["enum"]!.AsArray().Select(w => w!.GetValue<string>()).ToList());

        var tried = new List<string>();
        foreach (var (operation, name, words) in filters)
        {
            tried.Add($"{operation}?{name}");
            foreach (var word in words)
            {
                Assert.That(word, Does.Match("^[a-z_]+(:[a-z_]+)?$"));
                Assert.That((await AskAsync(operation, name, word)).Status, Is.EqualTo(HttpStatusCode.OK), $"{operation}?{name}={word}");
            }

            foreach (var other in new[] { "1", "no_such_word", words[0].ToUpperInvariant(), $"{words[0]},{words[^1]}" })
            {
                var refused = await AskAsync(operation, name, other);
                Assert.That((refused.Status, refused.Fields.SingleOrDefault()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, name)), $"{operation}?{name}={other}");
            }
        }

        Assert.That(tried, Is.SupersetOf(new[]
        {
            "GET /v1/trunks?direction", "GET /v1/sessions?status", "GET /v1/calls?status", "GET /v1/calls?direction", "GET /v1/webhooks/{id}/deliveries?status", "GET /v1/billing/holds?status",
            "GET /v1/analytics/calls?group_by",
        }));

        Task<Answer> AskAsync(Operation operation, string name, string word) => mine.Owner.GetAsync($"{mine.PathOf(operation)}?{name}={word}");
    }

    [Test]
    public async Task What_is_no_number_time_or_truth_names_itself()
    {
        await using var host = await TestHost.StartAsync(("RATE_LIMIT_PER_KEY", "off"));
        var document = await ApiDocument.OfAsync(host, "v1");
        var mine = await Resources.MakeAsync(await host.SignUpAsync());
        var tried = new List<string>();
        foreach (var operation in document.Operations.Where(o => o is { Method: "GET", Scope: not (null or "platform") }))
        {
            foreach (var parameter in operation.Parameters.Where(p => p["in"]!.GetValue<string>() == "query" && IsTyped(p["schema"]!)))
            {
                var name = parameter["name"]!.GetValue<string>();
                tried.Add($"{operation}?{name}");
                foreach (var value in new[] { "nonsense", "0x10" })
                {
                    var refused = await mine.Owner.GetAsync($"{mine.PathOf(operation)}?{name}={value}");
                    Assert.That((refused.Status, refused.Code, refused.Fields.SingleOrDefault()), Is.EqualTo((HttpStatusCode.BadRequest, "request.malformed", name)), $"{operation}?{name}={value}");
                }
            }
        }

        Assert.That(tried, Is.SupersetOf(new[] { "GET /v1/sessions?limit", "GET /v1/sessions/{id}/usage?by_turn", "GET /v1/events?after", "GET /v1/billing/balance?at", "GET /v1/analytics/calls?from" }));

        static bool IsTyped(System.Text.Json.Nodes.JsonNode schema) => schema.ToJsonString() is var text && (text.Contains("integer", StringComparison.Ordinal) || text.Contains("boolean", StringComparison.Ordinal) || text.Contains("date-time", StringComparison.Ordinal));
    }

    [Test]
    public async Task A_filter_leaves_what_it_names()
    {
        await using var host = await TestHost.StartAsync();
        var mine = await Resources.MakeAsync(await host.SignUpAsync());
        Assert.Multiple(async () =>
        {
            Assert.That(await IdsAsync("/v1/trunks?direction=inbound"), Is.EqualTo(new[] { mine.Ids[Resources.Inbound] }));
            Assert.That(await IdsAsync("/v1/trunks?direction=outbound"), Is.EqualTo(new[] { mine.Ids[Resources.Outbound] }));
            Assert.That(await IdsAsync("/v1/sessions?status=ended"), Does.Not.Contain(mine.Ids[Resources.Session]));
        });
        await mine.Owner.PostAsync($"/v1/sessions/{mine.Ids[Resources.Session]}/end");
        Assert.That(await IdsAsync("/v1/sessions?status=ended"), Does.Contain(mine.Ids[Resources.Session]));

        async Task<IEnumerable<string>> IdsAsync(string path) =>
            (await mine.Owner.GetAsync(path)).Body!["data"]!.AsArray().Select(row => row!["id"]!.GetValue<string>());
    }
}
