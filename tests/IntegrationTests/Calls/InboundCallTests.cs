using System.Net;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>Calls that come in, in each test to another number.</summary>
internal sealed class InboundCallTests : PhoneBenchTests
{
    private int _numbers = 5550200;
    private string _number = "";
    private string _livekitTrunk = "";
    private string _trunk = "";

    [SetUp]
    public async Task SetUpAsync()
    {
        _number = $"+1{++_numbers}";
        _trunk = (await Bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
    }

    [Test]
    public async Task A_ring_told_twice_is_one_call_with_one_agent()
    {
        await RouteAsync();
        var ring = PhoneBench.Ring("call-a1", _livekitTrunk, _number);

        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => FakeLiveKit.TellAsync(Bench.Host, ring)));

        Assert.That(answers, Is.All.EqualTo(HttpStatusCode.OK));
        var calls = (await Bench.Tenant.GetAsync("/v1/calls?direction=inbound")).Body!["data"]!.AsArray();
        Assert.That(calls, Has.Count.EqualTo(1));
        var call = calls[0]!;
        Assert.That((call["status"]!.GetValue<string>(), call["from_number"]!.GetValue<string>(), call["to_number"]!.GetValue<string>()), Is.EqualTo(("ringing", "+15550199", _number)));
        Assert.That(() => Bench.LiveKit.Dispatched.Count(d => d.Room == "call-a1"), Is.EqualTo(1).After(20_000, 20));
        var session = call["session_id"]!.GetValue<string>();
        var order = Bench.LiveKit.Dispatched.Single(d => d.Room == "call-a1");
        Assert.That((order.Room, order.AgentName, order.Metadata), Is.EqualTo(("call-a1", "voice-agent", $$"""{"session_id":"{{session}}"}""")));

        Assert.That((await Bench.SendAsync(new AttendSession(session))).Value.Phone!.Direction, Is.EqualTo(CallDirection.Inbound));
        await Bench.TalkAsync(session);
        call = await Bench.UntilAsync(call["id"]!.GetValue<string>(), "completed");
        Assert.That(call["cost"]!["lines"]!.AsArray().Select(l => l!["component"]!.GetValue<string>()), Does.Contain("telephony_inbound"));
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That(Bench.LiveKit.Dispatched.Count(d => d.Room == "call-a1"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_call_that_comes_in_costs_what_the_card_says_of_the_tenants_own_number()
    {
        await Bench.Host.SendAsync(HttpMethod.Post, "/v1/billing/rate-cards", TestHost.AdminKey, new
        {
            tenant_id = Bench.Tenant.TenantId,
            rates = new[] { new { component = "telephony_inbound", unit = "second", rate = 90_000, prefix = _number[..5] }, new { component = "telephony_inbound", unit = "second", rate = 1, prefix = "+15550199" } },
        });
        await RouteAsync();
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-p1", _livekitTrunk, _number));
        var call = await OnlyCallAsync();
        await Bench.TalkAsync(call["session_id"]!.GetValue<string>());
        call = await Bench.UntilAsync(call["id"]!.GetValue<string>(), "completed");
        Assert.That(
            call["cost"]!["lines"]!.AsArray().Where(l => l!["component"]!.GetValue<string>().StartsWith("telephony", StringComparison.Ordinal)).Select(l => $"{l!["component"]} {l["rate"]}"),
            Is.EqualTo(new[] { $"telephony_inbound:{_number[..5]} 90000" }));
    }

    [Test]
    public async Task The_tenant_is_asked_who_calls_and_its_answer_reaches_the_conversation()
    {
        await using var context = await ContextServer.StartAsync("""{"variables": {"name": "Ada", "age": 36}, "metadata": {"vip": true}}""");
        await RouteAsync(context.Url);
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-b1", _livekitTrunk, _number));

        var session = (await OnlyCallAsync())["session_id"]!.GetValue<string>();
        var plan = (await Bench.SendAsync(new AttendSession(session))).Value;
        Assert.That((plan.Variables["name"], plan.Variables["age"], plan.Variables["metadata.vip"]), Is.EqualTo(("Ada", "36", "True")));
        Assert.That(System.Text.Json.Nodes.JsonNode.Parse(context.Asked)!["from_number"]!.GetValue<string>(), Is.EqualTo("+15550199"));
    }

    [TestCase("nonsense", 0)]
    [TestCase("""{"variables": 7}""", 0)]
    [TestCase("""{}""", 30_000)]
    [RealTime]
    public async Task A_tenants_server_that_answers_nonsense_or_late_keeps_no_caller_waiting(string answer, int delayMs)
    {
        await using var context = await ContextServer.StartAsync(answer, delayMs);
        await RouteAsync(context.Url);
        var watch = System.Diagnostics.Stopwatch.StartNew();
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring($"call-c{_number[1..]}", _livekitTrunk, _number));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(4)));
        Assert.That((await OnlyCallAsync())["status"]!.GetValue<string>(), Is.EqualTo("ringing"));
    }

    [Test]
    public async Task Without_credits_the_caller_hears_busy_and_the_record_says_why()
    {
        await using var poor = await PhoneBench.StartAsync(("BILLING_SIGNUP_CREDITS", "0"));
        var trunk = (await poor.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
        await poor.Tenant.PostAsync("/v1/numbers", new { number = _number, trunk_id = trunk, assistant_id = poor.Assistant });
        Assert.That(async () => (await poor.Tenant.GetAsync($"/v1/trunks/{trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        poor.LiveKit.Rooms["call-d1"] = [];

        await FakeLiveKit.TellAsync(poor.Host, PhoneBench.Ring("call-d1", poor.LiveKit.InboundTrunks.Keys.Single(), _number));

        var call = (await poor.Tenant.GetAsync("/v1/calls")).Body!["data"]![0]!;
        Assert.That((call["status"]!.GetValue<string>(), call["cause"]!.GetValue<string>(), call["fault"]!.GetValue<string>()), Is.EqualTo(("rejected", "no_credits", "tenant")));
        Assert.That(() => poor.LiveKit.DeletedRooms, Does.Contain("call-d1").After(20_000, 50));
        Assert.That(poor.LiveKit.Dispatched, Is.Empty);
        Assert.That(async () => await poor.EventsAsync(call["id"]!.GetValue<string>(), "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
    }

    [Test]
    public async Task A_number_that_leads_nowhere_is_refused_and_a_strangers_trunk_is_left_alone()
    {
        await RouteAsync();
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-e1", _livekitTrunk, "+15559999"));
        Assert.That(() => Bench.LiveKit.DeletedRooms, Does.Contain("call-e1").After(20_000, 50));

        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-e2", "ST_of_another", _number));
        Assert.That((await Bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray(), Is.Empty);
        Assert.That(Bench.LiveKit.DeletedRooms, Does.Not.Contain("call-e2"));
    }

    [Test]
    public async Task A_trunk_that_is_full_refuses_the_next_caller()
    {
        await Bench.Tenant.PatchAsync($"/v1/trunks/{_trunk}", new { max_concurrent = 1 });
        await RouteAsync();
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-f1", _livekitTrunk, _number));
        await FakeLiveKit.TellAsync(Bench.Host, PhoneBench.Ring("call-f2", _livekitTrunk, _number, "+15550198"));
        var calls = (await Bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray();
        Assert.That(calls.Select(c => (c!["status"]!.GetValue<string>(), c["cause"]?.GetValue<string>())), Is.EquivalentTo(new[] { ("ringing", (string?)null), ("rejected", "no_capacity") }));
    }

    [Test]
    public async Task A_caller_who_hangs_up_before_the_answer_costs_nothing()
    {
        await RouteAsync();
        var (before, _) = await Bench.Tenant.BalanceAsync();
        var ring = PhoneBench.Ring("call-g1", _livekitTrunk, _number);
        await FakeLiveKit.TellAsync(Bench.Host, ring);
        ring.Event = "participant_left";
        ring.Id = "EV_left";
        await FakeLiveKit.TellAsync(Bench.Host, ring);
        var call = await OnlyCallAsync();
        Assert.That((call["status"]!.GetValue<string>(), call["cause"]!.GetValue<string>()), Is.EqualTo(("canceled", "caller_left")));
        Assert.That(await Bench.Tenant.BalanceAsync(), Is.EqualTo((before, 0L)));
    }

    [Test]
    public async Task Seed_001s_webhook_takes_the_same_ring_signed_with_its_own_key_and_nothing_else()
    {
        var own = new ApiKey("APIown", "secret-of-seed-001s-own-webhook");
        await using var bench = await PhoneBench.StartAsync(("LIVEKIT_WEBHOOK_API_KEY", own.Id), ("LIVEKIT_WEBHOOK_API_SECRET", own.Secret));
        var trunk = (await bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
        await bench.Tenant.PostAsync("/v1/numbers", new { number = _number, trunk_id = trunk, assistant_id = bench.Assistant });
        Assert.That(async () => (await bench.Tenant.GetAsync($"/v1/trunks/{trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        var ring = PhoneBench.Ring("call-h1", bench.LiveKit.InboundTrunks.Keys.Single(), _number);

        Assert.That(await FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook"), Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That(await FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook", own), Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await FakeLiveKit.TellAsync(bench.Host, ring, "/telephony/livekit-webhook", own), Is.EqualTo(HttpStatusCode.OK));
        Assert.That(() => bench.LiveKit.Dispatched.Count, Is.EqualTo(1).After(20_000, 50));
        var call = (await bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray().Single()!;
        Assert.That((await bench.Host.SendAsync(HttpMethod.Get, "/telephony/calls/by-room/call-h1", null)).Get<string>("callId"), Is.EqualTo(call["id"]!.GetValue<string>()));
        Assert.That((await bench.Host.SendAsync(HttpMethod.Get, $"/telephony/calls/{call["id"]}", null)).Get<string>("roomName"), Is.EqualTo("call-h1"));
    }

    private async Task RouteAsync(string? contextUrl = null)
    {
        var made = await Bench.Tenant.PostAsync("/v1/numbers", new { number = _number, trunk_id = _trunk, assistant_id = Bench.Assistant, context_url = contextUrl });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        Assert.That(() => Bench.LiveKit.Rules.Values.Count(r => r.Metadata.Contains(_trunk, StringComparison.Ordinal)), Is.EqualTo(1).After(20_000, 20));
        Assert.That(async () => (await Bench.Tenant.GetAsync($"/v1/trunks/{_trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 20));
        _livekitTrunk = Bench.LiveKit.InboundTrunks.Values.Single(t => t.Metadata.Contains(_trunk, StringComparison.Ordinal)).SipTrunkId;
    }

    private async Task<System.Text.Json.Nodes.JsonNode> OnlyCallAsync() => (await Bench.Tenant.GetAsync("/v1/calls")).Body!["data"]!.AsArray().Single()!;
}
