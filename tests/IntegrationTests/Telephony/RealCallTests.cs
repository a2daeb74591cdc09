using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.MediaServer;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>Whole calls: REST in front, SIP and RTP at a telephone behind, the assistant between, and what is left of it afterwards.</summary>
[RealTime]
internal sealed class RealCallTests
{
    [Test]
    public async Task A_callee_talks_with_the_assistant_and_record_transcript_charge_recording_and_webhook_follow()
    {
        await using var stage = await PhoneStage.StartAsync();
        var id = await stage.CallAsync(new { record = true, assistant_overrides = new { retention_days = 30 } });
        await using var phone = await stage.Phone.NextCallAsync(stage.Patience);
        Assert.That((phone.From, phone.To), Is.EqualTo((PhoneStage.Number, "+15550177")));
        await stage.HearOutAsync(phone);
        Assert.That((await stage.ReadAsync(id))["status"]!.GetValue<string>(), Is.EqualTo("in_progress"));
        await stage.SayAsync(phone, "what are your opening hours");
        await stage.HearOutAsync(phone);
        await stage.SayAsync(phone, "thank you good bye");
        await phone.Ended.WaitAsync(stage.Patience);

        var call = await stage.EndedAsync(id);
        Assert.That((Text(call, "status"), Text(call, "ended_reason"), Text(call, "direction")), Is.EqualTo(("completed", "assistant_ended", "outbound")));
        var lines = (await stage.Tenant.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray();
        Assert.That(lines.Where(l => Text(l!, "speaker") == "agent").Select(l => Text(l!, "text")), Is.EqualTo([PhoneStage.Greeting, "We are open from nine to ten.", "See you soon."]));
        var told = await stage.WebhookAsync(id);
        Assert.That((Text(told, "status"), told["transcript"]!.AsArray().Count), Is.EqualTo(("completed", lines.Count)));
        Assert.That(told["cost"]!["amount"]!.GetValue<long>(), Is.GreaterThan(0).And.EqualTo(call["cost"]!["amount"]!.GetValue<long>()));

        JsonNode recording = null!;
        await stage.UntilAsync(async () => (recording = (await stage.Tenant.GetAsync($"/v1/calls/{id}/recording")).Body!)["duration_s"] is not null, "the recording", () => recording.ToJsonString());
        Assert.That(recording["duration_s"]!.GetValue<double>(), Is.EqualTo(call["duration_s"]!.GetValue<double>()).Within(1.5));
        var bytes = await stage.Host.Http.GetByteArrayAsync(recording["url"]!.GetValue<string>());
        Assert.That((bytes.Length, bytes[..4]), Is.EqualTo((recording["size"]!.GetValue<int>(), "OggS"u8.ToArray())));
        await stage.AssertMoneyAsync();

        await stage.ForgetAsync(id);
        using var gone = await stage.Host.Http.GetAsync(recording["url"]!.GetValue<string>());
        Assert.That(gone.StatusCode, Is.EqualTo(System.Net.HttpStatusCode.NotFound));
        Assert.That(Directory.EnumerateFiles(stage.Host.DataDir, $"*{id}*", SearchOption.AllDirectories), Is.Empty);
        Assert.That((await stage.Tenant.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray(), Is.Empty);
        var left = await stage.ReadAsync(id);
        Assert.That((Text(left, "status"), left["recording"], left["cost"]!["amount"]!.GetValue<long>()), Is.EqualTo(("completed", (JsonNode?)null, call["cost"]!["amount"]!.GetValue<long>())));
        await stage.AssertMoneyAsync();
    }

    [TestCase(TestPhoneManner.Busy, "busy", "callee", 486)]
    [TestCase(TestPhoneManner.Decline, "rejected", "callee", 603)]
    [TestCase(TestPhoneManner.Ignore, "no_answer", "callee", 487)]
    public async Task A_call_that_nobody_takes_ends_as_what_it_was_and_costs_nothing(TestPhoneManner manner, string status, string fault, int sip)
    {
        await using var stage = await PhoneStage.StartAsync(new TestPhoneOptions { Manner = manner });
        var before = await stage.Tenant.BalanceAsync();
        var id = await stage.CallAsync(new { ring_timeout_s = 5 });
        var call = await stage.EndedAsync(id);

        Assert.That((Text(call, "status"), Text(call, "fault"), call["sip"]!["status_code"]!.GetValue<int>()), Is.EqualTo((status, fault, sip)));
        Assert.That(Text(await stage.WebhookAsync(id), "status"), Is.EqualTo(status));
        Assert.That(await stage.Tenant.BalanceAsync(), Is.EqualTo(before));
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_callee_who_hangs_up_in_the_middle_of_a_word_is_charged_for_what_was()
    {
        await using var stage = await PhoneStage.StartAsync();
        var id = await stage.CallAsync();
        await using (var phone = await stage.Phone.NextCallAsync(stage.Patience))
        {
            await stage.UntilAsync(() => Task.FromResult(phone.FirstSoundAfter is not null), "the greeting");
            await phone.HangUpAsync();
        }

        var call = await stage.EndedAsync(id);
        Assert.That((Text(call, "status"), Text(call, "ended_reason")), Is.EqualTo(("completed", "caller_left")));
        Assert.That(call["cost"]!["amount"]!.GetValue<long>(), Is.GreaterThan(0));
        await stage.WebhookAsync(id);
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_running_call_can_be_directed_and_ended_from_outside()
    {
        await using var stage = await PhoneStage.StartAsync();
        var id = await stage.CallAsync();
        await using var phone = await stage.Phone.NextCallAsync(stage.Patience);
        await stage.HearOutAsync(phone);
        var heard = phone.Heard.Length;
        var say = await stage.Tenant.PostAsync($"/v1/calls/{id}/say", new { text = "A colleague will join us in a moment." });
        Assert.That((int)say.Status, Is.InRange(200, 299), say.Body?.ToJsonString());
        await stage.HearOutAsync(phone);
        Assert.That(phone.HeardSince(heard).Count(s => Math.Abs((int)s) > 1_000), Is.GreaterThan(phone.Rate / 10), "It was said aloud.");
        var dtmf = await stage.Tenant.PostAsync($"/v1/calls/{id}/dtmf", new { digits = "12#" });
        Assert.That((int)dtmf.Status, Is.InRange(200, 299), dtmf.Body?.ToJsonString());
        await stage.UntilAsync(() => Task.FromResult(phone.Pressed == "12#"), "the keys", () => phone.Pressed);
        Assert.That((await stage.Tenant.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray().Select(l => Text(l!, "text")), Does.Contain("A colleague will join us in a moment."));

        var transfer = await stage.Tenant.PostAsync($"/v1/calls/{id}/transfer", new { to = "+15550199" });
        Assert.That((int)transfer.Status, Is.InRange(400, 599), "this phone declines to be transferred");
        Assert.That(Text(await stage.ReadAsync(id), "status"), Is.EqualTo("in_progress"), "and the call goes on");

        var ended = await stage.Tenant.PostAsync($"/v1/calls/{id}/end");
        Assert.That((int)ended.Status, Is.InRange(200, 299), ended.Body?.ToJsonString());
        await phone.Ended.WaitAsync(stage.Patience);
        var call = await stage.EndedAsync(id);
        Assert.That((Text(call, "status"), Text(call, "ended_reason")), Is.EqualTo(("completed", "requested")));
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_call_that_is_ended_while_it_rings_stops_ringing_and_is_canceled()
    {
        await using var stage = await PhoneStage.StartAsync(new TestPhoneOptions { Manner = TestPhoneManner.Ignore });
        var id = await stage.CallAsync();
        await stage.UntilAsync(async () => Text(await stage.ReadAsync(id), "status") == "ringing", "ringing");
        await stage.Tenant.PostAsync($"/v1/calls/{id}/end");
        var call = await stage.EndedAsync(id);

        Assert.That(Text(call, "status"), Is.EqualTo("canceled"));
        await stage.WebhookAsync(id);
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_machine_is_left_a_message()
    {
        await using var stage = await PhoneStage.StartAsync();
        var id = await stage.CallAsync(new { voicemail = new { action = "leave_message", message = "Please call the corner bistro." } });
        await using var phone = await stage.Phone.NextCallAsync(stage.Patience);
        await stage.SayAsync(phone, "please leave a message after the tone");
        await phone.SpeakAsync(Tones.Make(16_000, 1_000, 0.6), 16_000, stage.Patience);
        await phone.Ended.WaitAsync(stage.Patience);

        var call = await stage.EndedAsync(id);
        var lines = (await stage.Tenant.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray().Select(l => (Text(l!, "speaker"), Text(l!, "text"))).ToList();
        Assert.That((Text(call, "status"), lines.Last(l => l.Item1 == "agent").Item2), Is.EqualTo(("voicemail", "Please call the corner bistro.")), string.Join(" | ", lines));
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_call_to_a_tenants_number_is_answered_by_its_assistant()
    {
        await using var stage = await PhoneStage.StartAsync();
        var number = await stage.TakeCallsAsync();
        await using (var phone = await stage.CallInAsync(number))
        {
            await stage.HearOutAsync(phone);
            Assert.That(Seconds(phone), Is.GreaterThan(0.8), "seconds of greeting");
            await stage.SayAsync(phone, "thank you good bye");
            await phone.Ended.WaitAsync(stage.Patience);
        }

        var id = Text((await stage.Tenant.GetAsync("/v1/calls?direction=inbound")).Body!["data"]!.AsArray().Single()!, "id");
        var call = await stage.EndedAsync(id);
        Assert.That((Text(call, "status"), Text(call, "direction"), Text(call, "from_number"), Text(call, "to_number")), Is.EqualTo(("completed", "inbound", "+15550123", number)));
        Assert.That(call["cost"]!["lines"]!.AsArray().Select(l => Text(l!, "component")), Does.Contain("telephony_inbound"));
        await stage.WebhookAsync(id);
        await stage.AssertMoneyAsync();
    }

    [Test]
    public async Task A_caller_whom_nobody_can_pay_for_hears_busy()
    {
        await using var stage = await PhoneStage.StartAsync(null, null, ("BILLING_SIGNUP_CREDITS", "0"));
        var number = await stage.TakeCallsAsync();
        var refused = Assert.ThrowsAsync<TestPhoneException>(() => stage.CallInAsync(number));

        Assert.That(refused!.Status, Is.EqualTo(486));
    }

    private static double Seconds(TestPhoneCall phone) => phone.Heard.Chunk(phone.Rate / 50).Count(frame => frame.Any(s => Math.Abs((int)s) > 500)) / 50.0;

    private static string Text(JsonNode node, string name) => node[name]?.GetValue<string>() ?? "";
}
