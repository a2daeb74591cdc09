using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.MediaServer.Sip;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>
/// Carriers that refuse, are away, fall silent or die, over the whole stack: each call ends as what it was, in time, with its money
/// and its one webhook.
/// </summary>
[RealTime]
internal sealed class FaultTests
{
    /// <summary>RTP that stops is noticed after 30 s; nothing else may take longer.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(30);

    [Test]
    public async Task Whatever_a_carrier_does_the_call_ends_rightly_and_soon_with_its_money_and_one_webhook()
    {
        await using var stage = await PhoneStage.StartAsync(null, null, ("CALLS_MAX_CONCURRENT_PER_TENANT", "20"), ("BILLING_SIGNUP_CREDITS", "100000"));
        var faults = new List<Fault>();
        try
        {
            // The slow ones first; all of them at once.
            await AddAsync("audio that never comes", FaultyManner.Mute, 0, "completed", "line_lost", "carrier");
            await AddAsync("a host that dies", FaultyManner.Vanish, 0, "completed", "line_lost", "carrier");
            await AddAsync("packets are swallowed", FaultyManner.Swallow, 0, "failed", "carrier_unreachable", "carrier");
            await AddAsync("a closed port", null, 0, "failed", "carrier_unreachable", "carrier");
            await AddAsync("401 without credentials", FaultyManner.Refuse, 401, "failed", "trunk_credentials", "tenant");
            await AddAsync("401 for credentials", FaultyManner.Refuse, 401, "failed", "trunk_credentials", "tenant", new { username = "bistro", password = "wrong" });
            await AddAsync("403", FaultyManner.Refuse, 403, "failed", "trunk_forbidden", "tenant");
            await AddAsync("404", FaultyManner.Refuse, 404, "failed", "wrong_number", "callee");
            await AddAsync("408", FaultyManner.Refuse, 408, "no_answer", "no_answer", "callee");
            await AddAsync("480", FaultyManner.Refuse, 480, "no_answer", "no_answer", "callee");
            await AddAsync("487", FaultyManner.Refuse, 487, "failed", "terminated", "carrier");
            await AddAsync("488", FaultyManner.Refuse, 488, "failed", "no_common_codec", "carrier");
            await AddAsync("503", FaultyManner.Refuse, 503, "failed", "carrier_unavailable", "carrier");

            foreach (var fault in faults)
            {
                fault.Call = await stage.EndedAsync(fault.CallId);
            }

            var told = new List<JsonNode>();
            foreach (var _ in faults)
            {
                told.Add((await stage.Webhooks.NextAsync()).Json);
            }

            using (Assert.EnterMultipleScope())
            {
                foreach (var fault in faults)
                {
                    Check(fault, told);
                }
            }

            await stage.AssertMoneyAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
            Assert.That(stage.Webhooks.IsEmpty, Is.True, "one webhook a call");
        }
        finally
        {
            foreach (var fault in faults.Where(f => f.Peer is not null))
            {
                await fault.Peer!.DisposeAsync();
            }
        }

        async Task AddAsync(string what, FaultyManner? manner, int sip, string status, string cause, string whose, object? auth = null)
        {
            var peer = manner is { } given ? new FaultyPeer(given, sip) : null;
            var trunk = await stage.CreateAsync("/v1/trunks", new
            {
                name = what, type = "generic", direction = "outbound", address = $"127.0.0.1:{peer?.Port ?? PeerPorts.Take()}", transport = "udp", numbers = new[] { PhoneStage.Number }, auth,
            });
            var id = await stage.CallAsync(new { trunk_id = trunk, ring_timeout_s = 6, max_duration_s = 120, record = false });
            faults.Add(new Fault(what, id, peer, sip, status, cause, whose));
        }
    }

    private static void Check(Fault fault, List<JsonNode> told)
    {
        var call = fault.Call!;
        var facts = $"{fault.What}: {call.ToJsonString()}";
        Assert.That((Text(call, "status"), Text(call, "cause"), Text(call, "fault")), Is.EqualTo((fault.Status, fault.Cause, fault.Whose)), facts);
        if (fault.Sip != 0)
        {
            Assert.That(call["sip"]?["status_code"]?.GetValue<int>(), Is.EqualTo(fault.Sip), facts);
        }

        var mine = told.Where(t => Text(t, "subject_id") == fault.CallId).ToList();
        Assert.That(mine.Select(t => (Text(t, "type"), Text(t["data"]!, "status"), Text(t["data"]!, "fault"))), Is.EqualTo([("call.completed", fault.Status, fault.Whose)]), facts);
        Assert.That(fault.Peer?.Calls ?? 1, Is.EqualTo(1), $"dialled once. {facts}");

        var answered = fault.Status == "completed";
        // From when the carrier was asked: before that, room and agent are waited for.
        var from = answered ? call["answered_at"]!.GetValue<DateTimeOffset>() : fault.Peer?.InvitedAt ?? call["started_at"]!.GetValue<DateTimeOffset>();
        var lasted = call["ended_at"]!.GetValue<DateTimeOffset>() - from;
        Assert.That(lasted, Is.LessThan(answered ? Silence + TimeSpan.FromSeconds(6) : TimeSpan.FromSeconds(12)), facts);
        if (answered)
        {
            Assert.That(lasted, Is.GreaterThan(Silence - TimeSpan.FromSeconds(2)), $"not given up too soon. {facts}");
            Assert.That(fault.Peer!.WasHungUp, Is.True, $"hung up by us. {facts}");
            Assert.That(call["cost"]!["amount"]!.GetValue<long>(), Is.GreaterThan(0), facts);
        }
        else
        {
            Assert.That(call["cost"]?["amount"]?.GetValue<long>() ?? 0, Is.Zero, facts);
        }
    }

    private static string Text(JsonNode node, string name) => node[name]?.GetValue<string>() ?? "";

    private sealed record Fault(string What, string CallId, FaultyPeer? Peer, int Sip, string Status, string Cause, string Whose)
    {
        public JsonNode? Call { get; set; }
    }
}
