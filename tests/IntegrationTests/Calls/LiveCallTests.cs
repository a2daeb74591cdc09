using System.Net;
using System.Net.Http.Headers;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>What can be done with a call that is up, and what is kept of one that is over.</summary>
internal sealed class LiveCallTests
{
    private PhoneBench _bench = null!;

    [SetUp]
    public async Task SetUpAsync() => _bench = await PhoneBench.StartAsync();

    [TearDown]
    public async Task TearDownAsync() => await _bench.DisposeAsync();

    [Test]
    public async Task The_assistant_is_made_to_speak_and_to_press_keys()
    {
        var id = await _bench.CallAsync();
        await _bench.UntilAsync(id, "in_progress");

        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/say", new { text = "One moment." })).Status, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/dtmf", new { digits = "12w#" })).Status, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That(
            _bench.LiveKit.Rpcs.Select(r => (r.Method, r.Payload, r.DestinationIdentity)),
            Is.EqualTo(new[] { ("assistant.say", """{"text":"One moment."}""", "assistant-ai-agent"), ("assistant.dtmf", """{"digits":"12w#"}""", "assistant-ai-agent") }));

        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/dtmf", new { digits = "12x" })).Fields, Is.EqualTo(new[] { "digits" }));
        _bench.LiveKit.OnRpc = _ => throw new TwirpRefusal(HttpStatusCode.InternalServerError, "internal", "it is busy");
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/say", new { text = "x" })).Status, Is.EqualTo(HttpStatusCode.BadGateway));

        await _bench.Tenant.PostAsync($"/v1/calls/{id}/end");
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/say", new { text = "x" })).Code, Is.EqualTo("call.not_in_progress"));
    }

    [Test]
    public async Task A_transfer_ends_the_call_and_a_refused_one_does_not()
    {
        var id = await _bench.CallAsync();
        await _bench.UntilAsync(id, "in_progress");
        _bench.LiveKit.OnTransfer = _ => throw TwirpRefusal.Sip(603, "Decline");
        var refused = await _bench.Tenant.PostAsync($"/v1/calls/{id}/transfer", new { to = "+15550300" });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.BadGateway, "call.transfer_refused")));
        Assert.That(refused.Get<string>("detail"), Does.Contain("603"));
        Assert.That((await _bench.GetAsync(id))["status"]!.GetValue<string>(), Is.EqualTo("in_progress"));
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/transfer", new { to = "the boss" })).Fields, Is.EqualTo(new[] { "to" }));

        TransferSIPParticipantRequest? asked = null;
        _bench.LiveKit.OnTransfer = r =>
        {
            asked = r;
            return new() { Status = SIPTransferStatus.StsTransferSuccessful };
        };
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/transfer", new { to = "+15550300" })).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((asked!.TransferTo, asked.ParticipantIdentity), Is.EqualTo(("tel:+15550300", "sip_" + PhoneBench.To)));
        Assert.That((await _bench.UntilAsync(id, "completed"))["ended_reason"]!.GetValue<string>(), Is.EqualTo("transferred"));
    }

    [Test]
    public async Task A_recorded_call_says_where_its_recording_will_be_and_serves_it_by_a_signed_link()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        await _bench.Tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "recording.ready" } });
        var id = await _bench.CallAsync(new { record = true });
        var call = await _bench.UntilAsync(id, "in_progress");
        Assert.That(() => _bench.LiveKit.Recorded.Count, Is.EqualTo(1).After(20_000, 50));
        var request = _bench.LiveKit.Recorded.Single();
        Assert.That((request.RoomName, request.AudioOnly, request.FileOutputs[0].FileType, request.FileOutputs[0].Filepath),
            Is.EqualTo((call["room_name"]!.GetValue<string>(), true, EncodedFileType.Ogg, $"recordings/{_bench.Tenant.TenantId}/{id}.ogg")));
        Assert.That((await _bench.Tenant.GetAsync($"/v1/calls/{id}/recording")).Code, Is.EqualTo("recording.not_ready"));

        await _bench.TalkAsync(call["session_id"]!.GetValue<string>());
        call = await _bench.UntilAsync(id, "completed");
        Assert.That(call["recording"]!["url"]!.GetValue<string>(), Does.StartWith("http://127.0.0.1:"));
        Assert.That(call["cost"]!["lines"]!.AsArray().Select(l => l!["component"]!.GetValue<string>()), Does.Contain("recording"));

        var file = Path.Combine(_bench.Host.DataDir, "recordings", _bench.Tenant.TenantId, $"{id}.ogg");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var bytes = Enumerable.Range(0, 5000).Select(n => (byte)n).ToArray();
        await File.WriteAllBytesAsync(file, bytes);
        var done = new WebhookEvent
        {
            Id = "EV_done", Event = "egress_ended",
            EgressInfo = new EgressInfo
            {
                EgressId = $"EG_{request.RoomName}", RoomName = request.RoomName, Status = EgressStatus.EgressComplete,
                FileResults = { new VoicePlatform.LiveKit.Protocol.FileInfo { Location = file, Duration = 4_200_000_000, Size = bytes.Length } },
            },
        };
        await FakeLiveKit.TellAsync(_bench.Host, done);
        await FakeLiveKit.TellAsync(_bench.Host, done);

        var ready = await receiver.NextAsync();
        Assert.That(ready.Json["data"]!["recording"]!["duration_s"]!.GetValue<double>(), Is.EqualTo(4.2));
        Assert.That(async () => await _bench.EventsAsync(id, "recording.ready"), Has.Count.EqualTo(1).After(20_000, 50));

        var answer = await _bench.Tenant.GetAsync($"/v1/calls/{id}/recording");
        Assert.That((answer.Get<double>("duration_s"), answer.Get<long>("size")), Is.EqualTo((4.2, 5000L)));
        var url = answer.Get<string>("url");
        Assert.That(await _bench.Host.Http.GetByteArrayAsync(url), Is.EqualTo(bytes));
        using var range = new HttpRequestMessage(HttpMethod.Get, url) { Headers = { Range = new RangeHeaderValue(100, 199) } };
        using var part = await _bench.Host.Http.SendAsync(range);
        Assert.That((part.StatusCode, (await part.Content.ReadAsByteArrayAsync()).Length), Is.EqualTo((HttpStatusCode.PartialContent, 100)));
        var broken = url[..^2] + (url[^2] == 'A' ? "BB" : "AA");
        Assert.That((await _bench.Host.SendAsync(HttpMethod.Get, broken, null)).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task A_recording_whose_end_nobody_told_is_asked_after_and_one_that_livekit_lost_is_given_up()
    {
        var told = await RecordedAsync();
        var lost = await RecordedAsync();
        string? askedFor = null;
        _bench.LiveKit.OnListEgress = asked =>
        {
            askedFor = asked.EgressId;
            return asked.EgressId == $"EG_{told["room_name"]}"
                ? [new EgressInfo { EgressId = asked.EgressId, Status = EgressStatus.EgressComplete, FileResults = { new VoicePlatform.LiveKit.Protocol.FileInfo { Duration = 4_200_000_000, Size = 5_000 } } }]
                : [];
        };
        await _bench.ExecuteAsync("UPDATE call.calls SET ended_at = ended_at - interval '1 min'");
        Assert.That(async () => await _bench.EventsAsync(Id(told), "recording.ready"), Has.Count.EqualTo(1).After(15_000, 50));
        Assert.That((await _bench.GetAsync(Id(told)))["recording"]!["duration_s"]!.GetValue<double>(), Is.EqualTo(4.2));
        Assert.That(() => askedFor, Is.EqualTo($"EG_{lost["room_name"]}").After(15_000, 50));
        Assert.That(await _bench.EventsAsync(Id(lost), "recording.failed"), Is.Empty, "LiveKit may still come to know of it");

        await _bench.ExecuteAsync("UPDATE call.calls SET ended_at = ended_at - interval '10 min'");
        Assert.That(async () => await _bench.EventsAsync(Id(lost), "recording.failed"), Has.Count.EqualTo(1).After(15_000, 50));
        Assert.That((await _bench.GetAsync(Id(lost)))["recording"]!["status"]!.GetValue<string>(), Is.EqualTo("failed"));

        static string Id(System.Text.Json.Nodes.JsonNode call) => call["id"]!.GetValue<string>();
        async Task<System.Text.Json.Nodes.JsonNode> RecordedAsync()
        {
            var id = await _bench.CallAsync(new { record = true });
            var call = await _bench.UntilAsync(id, "in_progress");
            Assert.That(async () => await _bench.CountAsync($"SELECT count(*) FROM call.calls WHERE id = '{id}' AND recording_status = 'active'"), Is.EqualTo(1).After(20_000, 50));
            await _bench.TalkAsync(call["session_id"]!.GetValue<string>());
            return await _bench.UntilAsync(id, "completed");
        }
    }

    [Test]
    public async Task A_call_is_analysed_and_its_own_webhook_is_told_after_its_end()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var assistant = await _bench.Tenant.CreateAssistantAsync(new
        {
            name = "Bistro", llm = new { model = "local/script" },
            analysis = new
            {
                success = "A greeting was returned.", fields = new[] { new { name = "greeting" } },
                llm = new { model = "local/script", options = new { otherwise = """{"summary":"They greeted each other.","success":true,"success_reason":"Both did.","fields":{"greeting":"Hi."}}""" } },
            },
        });
        var id = await _bench.CallAsync(new { webhook_url = receiver.Url }, assistant: assistant);
        Assert.That((await _bench.Tenant.GetAsync($"/v1/calls/{id}/analysis")).Code, Is.EqualTo("analysis.not_found"));
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/analysis")).Code, Is.EqualTo("call.not_over"));
        await _bench.TalkAsync((await _bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>());

        var told = new[] { (await receiver.NextAsync()).Json, (await receiver.NextAsync()).Json };
        Assert.That(told.Select(e => (e["type"]!.GetValue<string>(), e["subject_id"]!.GetValue<string>())), Is.EqualTo(new[] { ("call.completed", id), ("analysis.ready", id) }));
        Assert.That(told[1]["sequence"]!.GetValue<long>(), Is.GreaterThan(told[0]["sequence"]!.GetValue<long>()));
        var analysis = (await _bench.Tenant.GetAsync($"/v1/calls/{id}/analysis")).Body!;
        Assert.That(System.Text.Json.Nodes.JsonNode.DeepEquals(told[1]["data"]!["analysis"], analysis), analysis.ToJsonString());
        Assert.That((analysis["summary"]!.GetValue<string>(), analysis["fields"]!["greeting"]!.GetValue<string>()), Is.EqualTo(("They greeted each other.", "Hi.")));
        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/analysis", new { success = "The caller said goodbye." })).Status, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That((await receiver.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("analysis.ready"));
    }

    [Test]
    public async Task Seed_003s_call_is_queued_recorded_and_told_in_its_own_words()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var assistant = await _bench.Tenant.CreateAssistantAsync(new { name = "Sales", end_call_url = receiver.Url });
        var answer = await _bench.Tenant.PostAsync("/call/outbound", new { assistant_id = assistant, trunk_id = _bench.Trunk, to_number = PhoneBench.To, call_service = "twilio", metadata = new { name = "Ada" } });
        Assert.That((answer.Status, answer.Get<bool>("success")), Is.EqualTo((HttpStatusCode.OK, true)), answer.Body?.ToJsonString());
        var call = await _bench.UntilAsync(answer.Body!["data"]!["call_id"]!.GetValue<string>(), "in_progress");
        Assert.That(call["room_name"]!.GetValue<string>().Split('_')[0], Is.EqualTo(assistant));
        await _bench.TalkAsync(call["session_id"]!.GetValue<string>());

        var told = (await receiver.NextAsync()).Json;
        Assert.That((told["success"]!.GetValue<bool>(), told["message"]!.GetValue<string>()), Is.EqualTo((true, "Call details fetched successfully")));
        var data = told["data"]!.AsObject();
        Assert.That(data.Select(p => p.Key), Is.EqualTo(new[]
        {
            "room_name", "assistant_id", "assistant_name", "to_number", "recording_path", "transcripts", "started_at", "ended_at", "call_duration_minutes",
        }));
        Assert.That(data["transcripts"]![0]!.AsObject().Select(p => p.Key), Is.EqualTo(new[] { "speaker", "text", "timestamp" }));
        Assert.That((data["assistant_name"]!.GetValue<string>(), data["to_number"]!.GetValue<string>()), Is.EqualTo(("Sales", PhoneBench.To)));
        Assert.That(data["recording_path"]!.GetValue<string>(), Is.Not.Empty);

        var refused = await _bench.Tenant.PostAsync("/call/outbound", new { assistant_id = assistant, trunk_id = _bench.Trunk, to_number = PhoneBench.To, call_service = "vonage" });
        Assert.That((refused.Status, refused.Get<bool>("success")), Is.EqualTo((HttpStatusCode.BadRequest, false)));
        Assert.That((await _bench.Tenant.PostAsync("/call/outbound", new { assistant_id = assistant, trunk_id = _bench.Trunk, to_number = "12" })).Status, Is.EqualTo(HttpStatusCode.BadRequest));
    }
}
