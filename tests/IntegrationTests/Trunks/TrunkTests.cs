using System.Net;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.IntegrationTests.Trunks;

/// <summary>Trunks and what LiveKit is told of them.</summary>
internal sealed class TrunkTests : PhoneBenchTests
{
    [Test]
    public async Task A_trunk_reaches_livekit_with_its_password_which_nobody_can_read_back()
    {
        var made = await Bench.Tenant.PostAsync("/v1/trunks", new
        {
            name = "Twilio", type = "twilio", direction = "outbound", address = "My-Trunk.pstn.twilio.com", transport = "tls", numbers = new[] { "+14155550100" },
            auth = new { username = "user", password = "hunter2" }, media_encryption = "require",
        });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        Assert.That(made.Body!.ToJsonString(), Does.Not.Contain("hunter2"));
        Assert.That(made.Body["auth"]!["password"]!.GetValue<string>(), Is.EqualTo("********"));
        var id = made.Get<string>("id");
        await SyncedAsync(id);
        var there = OnServer(id)!;
        Assert.That((there.Address, there.Transport, there.AuthUsername, there.AuthPassword, there.MediaEncryption),
            Is.EqualTo(("my-trunk.pstn.twilio.com", SIPTransport.Tls, "user", "hunter2", SIPMediaEncryption.SipMediaEncryptRequire)));
        Assert.That(await Bench.CountAsync("SELECT count(*) FROM trunk.trunks WHERE position('hunter2'::bytea in auth_password) > 0"), Is.Zero);

        // What was read can be sent back: the stars mean the password that is there.
        var changed = await Bench.Tenant.PatchAsync($"/v1/trunks/{id}", new { name = "Renamed", auth = new { username = "user" } }, ("If-Match", made.Headers["ETag"]));
        Assert.That(changed.Status, Is.EqualTo(HttpStatusCode.OK), changed.Body?.ToJsonString());
        await SyncedAsync(id);
        Assert.That((OnServer(id)!.Name, OnServer(id)!.AuthPassword), Is.EqualTo(("Renamed", "hunter2")));
        Assert.That((await Bench.Tenant.PatchAsync($"/v1/trunks/{id}", new { name = "Late" }, ("If-Match", made.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));

        Assert.That((await Bench.Tenant.DeleteAsync($"/v1/trunks/{id}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That(() => OnServer(id), Is.Null.After(20_000, 50));
        Assert.That((await Bench.Tenant.GetAsync($"/v1/trunks/{id}")).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [TestCase("twilio", "sip.example.com", "address")]
    [TestCase("twilio", "evilpstn.twilio.com", "address")]
    [TestCase("telnyx", "sip.telnyx.com.evil.example", "address")]
    [TestCase("plivo", "sip.plivo.com", "address")]
    [TestCase("exotel", "pstn.exotel.example", "address")]
    [TestCase("generic", "sip:pbx.example.com", "address")]
    [TestCase("generic", "pbx.example.com:99999", "address")]
    [TestCase("generic", "10.0.0.1", "address")]
    [TestCase("generic", "", "address")]
    [TestCase("carrier", "pbx.example.com", "type")]
    public async Task A_wrong_address_is_refused_by_its_field(string type, string address, string field)
    {
        var answer = await Bench.Tenant.PostAsync("/v1/trunks", new { name = "T", type, direction = "outbound", address, numbers = new[] { PhoneBench.From } });
        Assert.That((answer.Status, answer.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)), answer.Body?.ToJsonString());
    }

    [TestCase("twilio", "a.pstn.twilio.com")]
    [TestCase("twilio", "a.pstn.dublin.twilio.com")]
    [TestCase("telnyx", "sip.telnyx.eu")]
    [TestCase("plivo", "21784.zt.plivo.com")]
    [TestCase("exotel", "pstn.in2.exotel.com:5070")]
    [TestCase("generic", "pbx.example.com:5061")]
    [TestCase("twilio", "127.0.0.1:5070")]
    public async Task A_right_one_is_taken(string type, string address) =>
        Assert.That((await Bench.Tenant.PostAsync("/v1/trunks", new { name = "T", type, address, numbers = new[] { PhoneBench.From } })).Status, Is.EqualTo(HttpStatusCode.Created));

    [Test]
    public async Task A_trunk_saved_while_livekit_is_away_follows_when_it_is_back()
    {
        Bench.LiveKit.IsDown = true;
        var id = (await Bench.Tenant.PostAsync("/v1/trunks", new { name = "T", address = "pbx.example.com", numbers = new[] { PhoneBench.From } })).Get<string>("id");
        Assert.That(async () => (await Bench.Tenant.GetAsync($"/v1/trunks/{id}")).Body!["sync"]!["error"]?.GetValue<string>(), Is.EqualTo("down").After(20_000, 50));
        Bench.LiveKit.IsDown = false;
        await SyncedAsync(id);
        Assert.That(OnServer(id), Is.Not.Null);
    }

    [Test]
    public async Task An_inbound_trunk_says_who_may_call()
    {
        var open = await Bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound" });
        Assert.That((open.Status, open.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "allowed_addresses")), open.Body?.ToJsonString());
        Assert.That((await Bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", auth = new { username = "ada", password = "secret" } })).Status, Is.EqualTo(HttpStatusCode.Created));
    }

    [Test]
    public async Task A_trunk_that_registers_tells_the_media_server_so()
    {
        var nobody = await Bench.Tenant.PostAsync("/v1/trunks", new { name = "T", address = "pbx.example.com", numbers = new[] { PhoneBench.From }, register = true });
        Assert.That((nobody.Status, nobody.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "register")), nobody.Body?.ToJsonString());
        var id = (await Bench.Tenant.PostAsync("/v1/trunks", new { name = "T", address = "pbx.example.com", numbers = new[] { PhoneBench.From }, register = true, auth = new { username = "ada", password = "secret" } })).Get<string>("id");
        await SyncedAsync(id);
        Assert.That(OnServer(id)!.Metadata, Does.Contain("\"sip_register\":true"));
    }

    [Test]
    public async Task An_inbound_trunk_is_there_with_its_numbers_and_its_rule_and_goes_with_the_last_number()
    {
        var trunk = (await Bench.Tenant.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "54.172.60.0/30" } })).Get<string>("id");
        await SyncedAsync(trunk);
        Assert.That(Bench.LiveKit.InboundTrunks, Is.Empty, "without a number it would take any call");

        var number = await Bench.Tenant.PostAsync("/v1/numbers", new { number = "+15550200", trunk_id = trunk, assistant_id = Bench.Assistant });
        Assert.That(number.Status, Is.EqualTo(HttpStatusCode.Created), number.Body?.ToJsonString());
        await SyncedAsync(trunk);
        var there = Bench.LiveKit.InboundTrunks.Values.Single();
        Assert.That((there.Numbers.Single(), there.AllowedAddresses.Single()), Is.EqualTo(("+15550200", "54.172.60.0/30")));
        var rule = Bench.LiveKit.Rules.Values.Single();
        Assert.That((rule.TrunkIds.Single(), rule.Rule.DispatchRuleIndividual.RoomPrefix), Is.EqualTo((there.SipTrunkId, "call-")));

        var stranger = await Bench.Host.SignUpAsync("Stranger");
        var theirs = (await stranger.PostAsync("/v1/trunks", new { name = "In", direction = "inbound", allowed_addresses = new[] { "127.0.0.0/8" } })).Get<string>("id");
        var assistant = await stranger.CreateAssistantAsync();
        Assert.That((await stranger.PostAsync("/v1/numbers", new { number = "+15550200", trunk_id = theirs, assistant_id = assistant })).Code, Is.EqualTo("number.taken"));
        Assert.That((await stranger.PostAsync("/v1/numbers", new { number = "+15550201", trunk_id = trunk, assistant_id = assistant })).Fields, Is.EqualTo(new[] { "trunk_id" }));
        Assert.That((await stranger.DeleteAsync($"/v1/numbers/{number.Get<string>("id")}")).Status, Is.EqualTo(HttpStatusCode.NotFound));

        Assert.That((await Bench.Tenant.DeleteAsync($"/v1/trunks/{trunk}")).Code, Is.EqualTo("trunk.has_numbers"));
        await Bench.Tenant.DeleteAsync($"/v1/numbers/{number.Get<string>("id")}");
        Assert.That(() => Bench.LiveKit.InboundTrunks.Count + Bench.LiveKit.Rules.Count, Is.Zero.After(20_000, 50));
    }

    [Test]
    public async Task At_the_start_missing_ones_are_made_strays_removed_and_others_left_alone()
    {
        await using var livekit = await FakeLiveKit.StartAsync();
        string id;
        await using var first = await TestHost.StartAsync(livekit.Settings);
        var tenant = await first.SignUpAsync();
        id = await PhoneBench.TrunkAsync(tenant);
        var made = livekit.OutboundTrunks.Values.Single();
        livekit.OutboundTrunks.Clear();
        livekit.OutboundTrunks["ST_others"] = new() { SipTrunkId = "ST_others", Metadata = "{\"trunk_id\":\"trk_of_another\"}" };
        livekit.OutboundTrunks["ST_stray"] = new() { SipTrunkId = "ST_stray", Metadata = made.Metadata };

        // Another host of the same installation starts.
        await using var second = await TestHost.StartAsync([.. livekit.Settings, ("DATABASE_URL", first.Database.App)]);

        Assert.That(() => livekit.OutboundTrunks.Keys, Does.Contain("ST_others").And.Not.Contain("ST_stray").And.Count.EqualTo(2).After(20_000, 100));
        Assert.That(livekit.OutboundTrunks.Values.Count(t => t.Metadata.Contains(id, StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task Seed_003s_door_makes_the_same_trunk_and_answers_in_its_envelope()
    {
        var answer = await Bench.Tenant.PostAsync("/sip/create-outbound-trunk", new
        {
            trunk_name = "Seed", trunk_address = "seed.pstn.twilio.com", trunk_numbers = new[] { "+1 (415) 555-0100" }, trunk_auth_username = "u", trunk_auth_password = "p", trunk_type = "twilio",
        });
        Assert.That((answer.Status, answer.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)), answer.Body?.ToJsonString());
        var trunk = await Bench.Tenant.GetAsync($"/v1/trunks/{answer.Body!["data"]!["trunk_id"]}");
        Assert.That(trunk.Body!["numbers"]![0]!.GetValue<string>(), Is.EqualTo("+14155550100"));

        var refused = await Bench.Tenant.PostAsync("/sip/create-outbound-trunk", new { trunk_name = "Seed", trunk_address = "elsewhere.example", trunk_numbers = new[] { "+14155550100" } });
        Assert.That((refused.Status, refused.Get<bool>("success")), Is.EqualTo((HttpStatusCode.BadRequest, false)));
        Assert.That((await Bench.Host.SendAsync(HttpMethod.Post, "/sip/create-outbound-trunk", null, new { })).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
    }

    private SIPOutboundTrunkInfo? OnServer(string id) => Bench.LiveKit.OutboundTrunks.Values.SingleOrDefault(t => t.Metadata.Contains(id, StringComparison.Ordinal));

    private async Task SyncedAsync(string id) =>
        Assert.That(async () => (await Bench.Tenant.GetAsync($"/v1/trunks/{id}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
}
