using System.Text.RegularExpressions;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>Telephones in rooms: LiveKit's SIP API on one side, a phone that speaks SIP and RTP on the other, sound judged by its content.</summary>
[RealTime]
internal sealed class TelephoneTests
{
    private const int AgentHz = 440;
    private const int PhoneHz = 1_000;
    private const string Number = "+15550100";

    private static readonly ApiKey Key = new("devkey", "secret-secret-secret-secret-secret");

    [TestCase("G722")]
    [TestCase("PCMU")]
    [TestCase("PCMA")]
    [TestCase("opus")]
    public async Task A_telephone_that_is_rung_hears_the_room_and_is_heard_in_it(string codec)
    {
        await using var stage = await Stage.StartAsync(new TestPhoneOptions { Codecs = [codec] });
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);

        var participant = await stage.DialAsync();
        await using var call = await stage.Phone.NextCallAsync(stage.Patience);
        Assert.That((call.From, call.To, call.Codec), Is.EqualTo((Number, "+15550177", codec)).IgnoreCase);
        await Task.WhenAll(agent.SpeakAsync(1.5), call.SpeakAsync(Tones.Make(16_000, PhoneHz, 1.5), 16_000, stage.Patience));
        await stage.UntilAsync(() => Tones.Seconds(agent.Heard, 48_000, PhoneHz) > 1.3, "the telephone to be heard in the room");
        await stage.UntilAsync(() => Tones.Seconds(call.Heard, call.Rate, AgentHz) > 1.3, "the room to be heard at the telephone");

        Assert.That(Tones.Seconds(call.Heard, call.Rate, AgentHz), Is.EqualTo(1.5).Within(0.2), "seconds of the agent heard at the telephone");
        Assert.That(Tones.Seconds(call.Heard, call.Rate, PhoneHz), Is.Zero, "no echo of itself");
        var info = await stage.Api.Rooms.GetParticipantAsync("room", "callee", stage.Patience);
        Assert.That((info.Sid, info.Kind, info.Attributes["sip.callStatus"], info.Attributes["sip.callID"]), Is.EqualTo(
            (participant.ParticipantId, ParticipantInfo.Types.Kind.Sip, "active", participant.SipCallId)));
        Assert.That(info.Attributes, Contains.Key("sip.callIDFull").And.ContainKey("sip.callTag"));
        Assert.That((info.Attributes["sip.phoneNumber"], info.Attributes["sip.trunkPhoneNumber"], info.Attributes["sip.trunkID"]), Is.EqualTo(("+15550177", Number, stage.TrunkId)));
    }

    [Test]
    public async Task Keys_pass_both_ways()
    {
        await using var stage = await Stage.StartAsync();
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await stage.DialAsync(request => request.Dtmf = "w42");
        await using var call = await stage.Phone.NextCallAsync(stage.Patience);
        await call.PressAsync("1#", stage.Patience);
        await stage.UntilAsync(() => agent.Pressed == "1#", "the telephone's keys in the room");
        await stage.UntilAsync(() => call.Pressed == "42", "the keys to press after the answer");
        await agent.PressAsync("9");
        await stage.UntilAsync(() => call.Pressed == "429", "the room's key at the telephone");
    }

    [TestCase(TestPhoneManner.Busy, "resource_exhausted", 486)]
    [TestCase(TestPhoneManner.Decline, "permission_denied", 603)]
    [TestCase(TestPhoneManner.Ignore, "deadline_exceeded", 487)]
    public async Task A_telephone_that_is_not_answered_says_why(TestPhoneManner manner, string code, int status)
    {
        await using var stage = await Stage.StartAsync(new TestPhoneOptions { Manner = manner });
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        var refused = Assert.ThrowsAsync<LiveKitApiException>(() => stage.DialAsync(request => request.RingingTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(1))));

        Assert.That((refused!.Code, refused.SipStatusCode, refused.OutcomeKnown), Is.EqualTo((code, status, true)));
        Assert.That((await stage.Api.Rooms.ListParticipantsAsync("room", stage.Patience)).Select(p => p.Identity), Is.EqualTo(["agent"]));
        Assert.That(stage.Server.Telephones, Is.Zero, "nothing is left of it");
    }

    [Test]
    public async Task Without_a_phone_at_the_other_end_the_caller_is_told_soon()
    {
        await using var stage = await Stage.StartAsync();
        await stage.Phone.DisposeAsync();
        var refused = Assert.ThrowsAsync<LiveKitApiException>(() => stage.DialAsync(request => request.RingingTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(2))));

        Assert.That(refused!.OutcomeKnown, Is.True);
        Assert.That(refused.SipStatusCode, Is.AnyOf(408, 487, 503));
    }

    [Test]
    public async Task Whoever_hangs_up_ends_it_for_both()
    {
        await using var stage = await Stage.StartAsync();
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await stage.DialAsync();
        await using (var call = await stage.Phone.NextCallAsync(stage.Patience))
        {
            await call.HangUpAsync();
            await stage.UntilAsync(() => stage.Server.Telephones == 0, "the participant to leave");
        }

        await stage.DialAsync();
        await using (var call = await stage.Phone.NextCallAsync(stage.Patience))
        {
            await stage.Api.Rooms.RemoveParticipantAsync("room", "callee", stage.Patience);
            await call.Ended.WaitAsync(stage.Patience);
        }

        await stage.DialAsync();
        await using (var call = await stage.Phone.NextCallAsync(stage.Patience))
        {
            await stage.Api.Rooms.DeleteAsync("room", stage.Patience);
            await call.Ended.WaitAsync(stage.Patience);
        }
    }

    [Test]
    public async Task A_room_that_ends_while_it_rings_stops_the_ringing()
    {
        await using var stage = await Stage.StartAsync(new TestPhoneOptions { Manner = TestPhoneManner.Ignore });
        var dialling = stage.DialAsync();
        await stage.UntilAsync(async () => await stage.StatusAsync() == "ringing", "ringing");
        await stage.Api.Rooms.DeleteAsync("room", stage.Patience);
        var refused = Assert.ThrowsAsync<LiveKitApiException>(() => dialling);

        Assert.That((refused!.Code, refused.SipStatusCode), Is.EqualTo(("canceled", 487)));
    }

    [Test]
    public async Task A_call_does_not_last_longer_than_it_may()
    {
        await using var stage = await Stage.StartAsync();
        await stage.DialAsync(request => request.MaxCallDuration = Duration.FromTimeSpan(TimeSpan.FromSeconds(1)));
        await using var call = await stage.Phone.NextCallAsync(stage.Patience);
        await call.Ended.WaitAsync(stage.Patience);
    }

    [Test]
    public async Task Being_put_on_hold_shows_and_passes()
    {
        await using var stage = await Stage.StartAsync();
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await stage.DialAsync();
        await using var call = await stage.Phone.NextCallAsync(stage.Patience);
        await call.HoldAsync(true, stage.Patience);
        await stage.UntilAsync(async () => (await stage.Api.Rooms.GetParticipantAsync("room", "callee", stage.Patience)).Attributes.ContainsKey("sip.hold"), "hold");
        await call.HoldAsync(false, stage.Patience);
        await stage.UntilAsync(async () => !(await stage.Api.Rooms.GetParticipantAsync("room", "callee", stage.Patience)).Attributes.ContainsKey("sip.hold"), "the end of it");
        await agent.SpeakAsync(1);
        await stage.UntilAsync(() => Tones.Seconds(call.Heard, call.Rate, AgentHz) > 0.8, "the agent to be heard again");
    }

    [Test]
    public async Task A_call_that_comes_in_rings_until_somebody_is_there_and_is_then_bridged()
    {
        await using var stage = await Stage.StartAsync();
        var rule = await stage.TakeCallsAsync(rule => rule.DispatchRuleIndividual = new SIPDispatchRuleIndividual { RoomPrefix = "call-" });
        var calling = stage.CallInAsync();
        var room = await stage.RoomAsync("call-_+15550177_");
        var ringing = (await stage.Api.Rooms.ListParticipantsAsync(room.Name, stage.Patience)).Single();
        Assert.That((ringing.Identity, ringing.Name, ringing.Kind), Is.EqualTo(("sip_+15550177", "Phone +15550177", ParticipantInfo.Types.Kind.Sip)));
        Assert.That((ringing.Attributes["sip.callStatus"], ringing.Attributes["sip.ruleID"], ringing.Attributes["sip.trunkPhoneNumber"]), Is.EqualTo(("ringing", rule, Number)));
        Assert.That(calling.IsCompleted, Is.False, "Nobody is there.");

        await using var agent = await Speaker.JoinAsync(stage.Server.Rooms.Find(room.Name)!, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await using var call = await calling;
        await Task.WhenAll(agent.SpeakAsync(1), call.SpeakAsync(Tones.Make(16_000, PhoneHz, 1), 16_000, stage.Patience));
        await stage.UntilAsync(() => Tones.Seconds(agent.Heard, 48_000, PhoneHz) > 0.8, "the caller to be heard");
        await stage.UntilAsync(() => Tones.Seconds(call.Heard, call.Rate, AgentHz) > 0.8, "the agent to be heard");
        Assert.That(Tones.Seconds(call.Heard, call.Rate, AgentHz), Is.EqualTo(1).Within(0.2));
        Assert.That((await stage.Api.Rooms.ListParticipantsAsync(room.Name, stage.Patience)).Single(p => p.Kind is ParticipantInfo.Types.Kind.Sip).Attributes["sip.callStatus"], Is.EqualTo("active"));
    }

    [Test]
    public async Task A_room_taken_away_makes_the_caller_hear_busy()
    {
        await using var stage = await Stage.StartAsync();
        await stage.TakeCallsAsync(rule => rule.DispatchRuleIndividual = new SIPDispatchRuleIndividual { RoomPrefix = "call-" });
        var calling = stage.CallInAsync();
        await stage.Api.Rooms.DeleteAsync((await stage.RoomAsync("call-")).Name, stage.Patience);

        Assert.That(Assert.ThrowsAsync<TestPhoneException>(() => calling)!.Status, Is.EqualTo(486));
    }

    [Test]
    public async Task Strangers_and_unknown_numbers_do_not_become_calls()
    {
        await using var stage = await Stage.StartAsync();
        Assert.That(Assert.ThrowsAsync<TestPhoneException>(() => stage.CallInAsync())!.Status, Is.EqualTo(404), "no such number");
        await stage.TakeCallsAsync(rule => rule.DispatchRuleDirect = new SIPDispatchRuleDirect { RoomName = "room" }, trunk => trunk.AllowedAddresses.Add("192.0.2.0/24"));
        Assert.That(Assert.ThrowsAsync<TestPhoneException>(() => stage.CallInAsync())!.Status, Is.EqualTo(403), "from an address that may not");
        Assert.That((await stage.Api.Rooms.ListParticipantsAsync("room", stage.Patience)), Is.Empty);
    }

    [Test]
    public async Task Only_the_right_PIN_leads_into_the_room()
    {
        await using var stage = await Stage.StartAsync();
        await stage.TakeCallsAsync(rule => rule.DispatchRuleDirect = new SIPDispatchRuleDirect { RoomName = "room", Pin = "4711" });
        await using var agent = await Speaker.JoinAsync(stage.Room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await using var call = await stage.CallInAsync();
        await call.PressAsync("1234#", stage.Patience);
        Assert.That(await stage.StatusAsync("sip_+15550177"), Is.Null);
        await call.PressAsync("4711#", stage.Patience);
        await stage.UntilAsync(async () => await stage.StatusAsync("sip_+15550177") == "active", "the way in");
    }

    [Test]
    public async Task LiveKits_own_SDK_dials_records_and_removes_a_telephone()
    {
        var folder = Directory.CreateTempSubdirectory("recording").FullName;
        await using var stage = await Stage.StartAsync(recordings: folder);
        await using var busy = new TestPhone(new TestPhoneOptions { Manner = TestPhoneManner.Busy }, TimeProvider.System, NullLoggerFactory.Instance);
        busy.Start();
        await using var script = await NodeScript.StartAsync("telephone.mjs", stage.Server.Url, Key.Id, Key.Secret, ("PHONE_PORT", $"{stage.Phone.Port}"), ("BUSY_PORT", $"{busy.Port}"));

        var configured = await script.StepAsync("configured");
        Assert.That((configured.GetProperty("renamed").GetString(), configured.GetProperty("rules")[0].GetBoolean()), Is.EqualTo(("renamed", true)));
        await using var call = await stage.Phone.NextCallAsync(CancellationToken.None);
        var speaking = call.SpeakAsync(Tones.Make(16_000, AgentHz, 8, amplitude: 16_000), 16_000, CancellationToken.None);
        var talking = await script.StepAsync("talking");
        Assert.That((talking.GetProperty("kind").GetInt32(), talking.GetProperty("status").GetString(), talking.GetProperty("sid").GetBoolean(), talking.GetProperty("name").GetString()),
            Is.EqualTo((3, "active", true, "Callee")));
        var recorded = await script.StepAsync("recorded");
        Assert.That((recorded.GetProperty("file").GetString(), File.Exists(Path.Combine(folder, "sdk.ogg"))), Is.EqualTo(("sdk.ogg", true)));
        Assert.That(recorded.GetProperty("seconds").GetDouble(), Is.EqualTo(1).Within(0.7));
        Assert.That((await script.StepAsync("removed")).GetProperty("refused").GetString(), Is.EqualTo("603"), "this phone declines to be transferred");
        await call.Ended.WaitAsync(stage.Patience);
        Assert.That(Tones.Seconds(call.Heard, call.Rate, AgentHz), Is.GreaterThan(0.5), "the SDK's participant at the telephone");
        var end = await script.StepAsync("end");
        Assert.That((end.GetProperty("busy").GetProperty("code").GetString(), end.GetProperty("busy").GetProperty("status").GetString(), end.GetProperty("left").GetInt32()),
            Is.EqualTo(("resource_exhausted", "486", 0)));
        await speaking;
        Directory.Delete(folder, recursive: true);
    }

    [Test]
    public async Task A_trunk_that_asks_for_it_is_registered_and_removed_again()
    {
        await using var stage = await Stage.StartAsync();
        using var registrar = new System.Net.Sockets.UdpClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        var port = ((System.Net.IPEndPoint)registrar.Client.LocalEndPoint!).Port;
        var trunk = new SIPOutboundTrunkInfo
        {
            Name = "home", Address = $"127.0.0.1:{port}", Transport = SIPTransport.Udp, Numbers = { Number }, AuthUsername = "ada", AuthPassword = "secret", Metadata = """{"sip_register":true}""",
        };
        var id = (await stage.Api.Sip.CreateOutboundTrunkAsync(trunk, stage.Patience)).SipTrunkId;
        var (first, expires) = await AnswerAsync();
        Assert.That(first, Does.Contain("To: <sip:ada@127.0.0.1"));
        Assert.That(expires, Is.GreaterThan(0));
        await stage.Api.Sip.DeleteTrunkAsync(id, stage.Patience);
        Assert.That((await AnswerAsync()).Expires, Is.Zero, "taken back");

        async Task<(string Text, int Expires)> AnswerAsync()
        {
            var request = await registrar.ReceiveAsync(stage.Patience);
            var text = System.Text.Encoding.UTF8.GetString(request.Buffer);
            Assert.That(text, Does.StartWith("REGISTER sip:127.0.0.1"));
            string Header(string name) => Regex.Match(text, $"(?im)^{name}: (?<value>.*)\r$", RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(1)).Groups["value"].Value;
            var answer = $"SIP/2.0 200 OK\r\nVia: {Header("Via")}\r\nFrom: {Header("From")}\r\nTo: {Header("To")};tag=registrar\r\nCall-ID: {Header("Call-ID")}\r\n"
                + $"CSeq: {Header("CSeq")}\r\nContact: {Header("Contact")}\r\nExpires: {Header("Expires")}\r\nContent-Length: 0\r\n\r\n";
            await registrar.SendAsync(System.Text.Encoding.UTF8.GetBytes(answer), request.RemoteEndPoint, stage.Patience);
            var lifetime = Regex.Match(text, @"(?i)expires[:=]\s*(?<seconds>\d+)", RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(1));
            return (text, int.Parse(lifetime.Groups["seconds"].Value, null));
        }
    }

    /// <summary>A server, a room in it, a phone, and a trunk that leads to the phone.</summary>
    private sealed class Stage : IAsyncDisposable
    {
        private readonly HttpClient _http = new();
        private readonly CancellationTokenSource _patience = new(TimeSpan.FromSeconds(20), TimeProvider.System);

        public required EmbeddedServer Server { get; init; }

        public required TestPhone Phone { get; init; }

        public LiveKitApi Api { get; private set; } = null!;

        public string TrunkId { get; private set; } = "";

        public VoicePlatform.MediaServer.Rooms.Room Room { get; private set; } = null!;

        public CancellationToken Patience => _patience.Token;

        public static async Task<Stage> StartAsync(TestPhoneOptions? phone = null, string? recordings = null)
        {
            var stage = new Stage
            {
                Server = new EmbeddedServer(
                    new MediaServerOptions
                    {
                        ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
                        Port = 0,
                        MediaUdpPort = 0,
                        Sip = new SipOptions { Port = 0, RtpPorts = (0, 0) },
                        Recordings = recordings is null ? null : new RecordingOptions { Root = recordings },
                    },
                    TimeProvider.System,
                    NullLoggerFactory.Instance),
                Phone = new TestPhone(phone ?? new TestPhoneOptions(), TimeProvider.System, NullLoggerFactory.Instance),
            };
            await stage.Server.StartAsync(CancellationToken.None);
            stage.Phone.Start();
            stage.Api = new LiveKitApi(stage._http, LiveKitServer.Create(stage.Server.Url.ToString(), Key), TimeProvider.System);
            stage.Room = stage.Server.Rooms.GetOrCreate(new RoomConfiguration(), "room", out _);
            var trunk = new SIPOutboundTrunkInfo { Name = "out", Address = $"127.0.0.1:{stage.Phone.Port}", Transport = SIPTransport.Udp, Numbers = { Number } };
            stage.TrunkId = (await stage.Api.Sip.CreateOutboundTrunkAsync(trunk, default)).SipTrunkId;
            return stage;
        }

        public Task<SIPParticipantInfo> DialAsync(Action<CreateSIPParticipantRequest>? change = null)
        {
            var request = new CreateSIPParticipantRequest
            {
                SipTrunkId = TrunkId, SipCallTo = "+15550177", RoomName = "room", ParticipantIdentity = "callee", WaitUntilAnswered = true,
            };
            change?.Invoke(request);
            return Api.Sip.CreateParticipantAsync(request, Patience);
        }

        public async Task<string> TakeCallsAsync(Action<SIPDispatchRule> choose, Action<SIPInboundTrunkInfo>? restrict = null)
        {
            var trunk = new SIPInboundTrunkInfo { Name = "in", Numbers = { Number } };
            restrict?.Invoke(trunk);
            var rule = new SIPDispatchRuleInfo { Rule = new SIPDispatchRule(), TrunkIds = { (await Api.Sip.CreateInboundTrunkAsync(trunk, default)).SipTrunkId } };
            choose(rule.Rule);
            return (await Api.Sip.CreateDispatchRuleAsync(rule, default)).SipDispatchRuleId;
        }

        public Task<TestPhoneCall> CallInAsync() => Phone.CallAsync($"sip:{Number}@127.0.0.1:{Server.SipPort}", "+15550177", Patience);

        public async Task<VoicePlatform.LiveKit.Protocol.Room> RoomAsync(string prefix)
        {
            VoicePlatform.LiveKit.Protocol.Room? found = null;
            await UntilAsync(async () => (found = (await Api.Rooms.ListAsync([], Patience)).FirstOrDefault(r => r.Name.StartsWith(prefix, StringComparison.Ordinal) && r.NumParticipants > 0)) is not null, $"a room {prefix}…");
            return found!;
        }

        public async Task<string?> StatusAsync(string identity = "callee") =>
            (await Api.Rooms.ListParticipantsAsync("room", Patience)).SingleOrDefault(p => p.Identity == identity)?.Attributes["sip.callStatus"];

        public Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), what);

        public async Task UntilAsync(Func<Task<bool>> condition, string what)
        {
            while (!await condition())
            {
                Assert.That(Patience.IsCancellationRequested, Is.False, $"Not in time: {what}");
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await Phone.DisposeAsync();
            await Server.DisposeAsync();
            _http.Dispose();
            _patience.Dispose();
        }
    }
}
