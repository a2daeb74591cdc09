using System.Net.WebSockets;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using Kind = VoicePlatform.LiveKit.Protocol.SignalResponse.MessageOneofCase;
using Reason = VoicePlatform.LiveKit.Protocol.RequestResponse.Types.Reason;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class SignalMessageTests
{
    [Test]
    public async Task Both_pings_are_answered()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await alice.SendAsync(new SignalRequest { PingReq = new Ping { Timestamp = 42 } });
        Assert.That((await alice.NextAsync(Kind.PongResp)).PongResp.LastPingTimestamp, Is.EqualTo(42));
        await alice.SendAsync(new SignalRequest { Ping = 42 });
        Assert.That((await alice.NextAsync(Kind.Pong)).Pong, Is.GreaterThan(1_600_000_000_000));
    }

    [Test]
    public async Task An_announced_microphone_gets_a_track_id_and_announcing_it_twice_the_same()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        var announce = new SignalRequest { AddTrack = new AddTrackRequest { Cid = "c1", Name = "mic", Source = TrackSource.Microphone, AudioFeatures = { AudioTrackFeature.TfEchoCancellation } } };
        await alice.SendAsync(announce);
        var published = (await alice.NextAsync(Kind.TrackPublished)).TrackPublished;
        Assert.That(published.Cid, Is.EqualTo("c1"));
        Assert.That(published.Track.Sid, Does.StartWith("TR_AM"));
        Assert.That((published.Track.Name, published.Track.Stream, published.Track.Codecs[0].Cid), Is.EqualTo(("mic", "camera", "c1")));
        await alice.SendAsync(announce);
        Assert.That((await alice.NextAsync(Kind.TrackPublished)).TrackPublished.Track.Sid, Is.EqualTo(published.Track.Sid));
    }

    [TestCase(TrackType.Video, TrackSource.Camera, Reason.UnsupportedType)]
    [TestCase(TrackType.Audio, TrackSource.ScreenShareAudio, Reason.NotAllowed)]
    public async Task A_track_that_cannot_be_is_refused_with_a_reason(TrackType type, TrackSource source, Reason reason)
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice", grant: g => g with { CanPublishSources = ["microphone", "camera"] });
        await alice.SendAsync(new SignalRequest { AddTrack = new AddTrackRequest { Cid = "v", Type = type, Source = source } });
        var refusal = (await alice.NextAsync(Kind.RequestResponse)).RequestResponse;
        Assert.That((refusal.Reason, refusal.AddTrack.Cid), Is.EqualTo((reason, "v")));
        Assert.That(refusal.Message, Is.Not.Empty);
    }

    [Test]
    public async Task Own_attributes_change_when_allowed_and_everybody_learns_it_before_the_answer()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice", grant: g => g with { CanUpdateOwnMetadata = true });
        await using var bob = await server.JoinAsync("r", "bob");
        await alice.SendAsync(new SignalRequest
        {
            UpdateMetadata = new UpdateParticipantMetadata { RequestId = 1, Name = "A", Attributes = { ["lk.agent.state"] = "listening" } },
        });
        await alice.UpdateOfAsync("alice", p => p.Name == "A");
        await alice.NextAsync(Kind.RefreshToken);
        var answer = (await alice.NextAsync(Kind.RequestResponse)).RequestResponse;
        Assert.That((answer.RequestId, answer.Reason), Is.EqualTo((1u, Reason.Ok)));
        Assert.That((await bob.UpdateOfAsync("alice", p => p.Name == "A")).Attributes["lk.agent.state"], Is.EqualTo("listening"));

        await alice.SendAsync(new SignalRequest { UpdateMetadata = new UpdateParticipantMetadata { RequestId = 2, Attributes = { ["lk.agent.state"] = "" } } });
        Assert.That((await bob.UpdateOfAsync("alice", p => p.Attributes.Count == 0)).Name, Is.EqualTo("A"), "an empty value removes, an empty name leaves as it is");
    }

    [Test]
    public async Task Own_metadata_is_refused_without_permission_and_when_too_large()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await alice.SendAsync(new SignalRequest { UpdateMetadata = new UpdateParticipantMetadata { RequestId = 3, Metadata = "x" } });
        Assert.That((await alice.NextAsync(Kind.RequestResponse)).RequestResponse.Reason, Is.EqualTo(Reason.NotAllowed));

        await using var bob = await server.JoinAsync("r", "bob", grant: g => g with { CanUpdateOwnMetadata = true });
        await bob.SendAsync(new SignalRequest { UpdateMetadata = new UpdateParticipantMetadata { RequestId = 4, Metadata = new string('x', 600 * 1024) } });
        Assert.That((await bob.NextAsync(Kind.RequestResponse)).RequestResponse.Reason, Is.EqualTo(Reason.LimitExceeded));
    }

    [Test]
    public async Task Subscribing_to_an_unknown_track_is_answered()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await alice.SendAsync(new SignalRequest { Subscription = new UpdateSubscription { TrackSids = { "TR_none" }, Subscribe = true } });
        var answer = (await alice.NextAsync(Kind.SubscriptionResponse)).SubscriptionResponse;
        Assert.That((answer.TrackSid, answer.Err), Is.EqualTo(("TR_none", SubscriptionError.SeTrackNotfound)));
    }

    [Test]
    public async Task A_simulated_node_failure_leads_to_a_full_reconnect()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        var sid = (await alice.NextAsync(Kind.Join)).Join.Participant.Sid;
        await alice.SendAsync(new SignalRequest { Simulate = new SimulateScenario { NodeFailure = true } });
        await alice.ClosedAsync();
        await using var back = await server.JoinAsync("r", "alice", new JoinRequest { Reconnect = true, ParticipantSid = sid });
        Assert.That((await back.NextAsync(Kind.Leave)).Leave.Action, Is.EqualTo(LeaveRequest.Types.Action.Reconnect));
    }

    [Test]
    public async Task A_client_that_does_not_read_is_cut_off_and_the_others_go_on()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice", grant: g => g with { CanUpdateOwnMetadata = true });
        await using var deaf = await server.JoinAsync("r", "deaf");
        deaf.StopReading();
        var room = server.Server.Rooms.Find("r")!;
        var text = new string('x', 60_000);
        for (var i = 0; i < 2000 && await room.AskAsync(() => room.Find("deaf")?.Signal is not null, CancellationToken.None); i++)
        {
            await room.AskAsync(() => room.SetMetadata($"{i}{text}"), CancellationToken.None);
        }

        Assert.That(await room.AskAsync(() => room.Find("deaf")!.Signal, CancellationToken.None), Is.Null, "it lost its socket and may resume");
        await room.AskAsync(() => room.SetMetadata("end"), CancellationToken.None);
        await alice.NextAsync(Kind.RoomUpdate, r => r.RoomUpdate.Room.Metadata == "end");
    }

    [Test]
    public async Task Malformed_text_and_oversized_messages_close_only_their_own_socket()
    {
        await using var server = await TestServer.StartAsync();
        await using var good = await server.JoinAsync("r", "good");
        await using var malformed = await server.JoinAsync("r", "malformed");
        await malformed.SendAsync([0xff, 0xff, 0xff, 0xff]);
        await malformed.ClosedAsync();
        Assert.That(malformed.CloseStatus, Is.EqualTo(WebSocketCloseStatus.InvalidPayloadData));

        await using var text = await server.JoinAsync("r", "text");
        await text.SendAsync("{}"u8.ToArray(), WebSocketMessageType.Text);
        await text.ClosedAsync();
        Assert.That(text.CloseStatus, Is.EqualTo(WebSocketCloseStatus.InvalidMessageType));

        await using var large = await server.JoinAsync("r", "large");
        await large.SendAsync(new byte[2 * 1024 * 1024]);
        await large.ClosedAsync();
        Assert.That(large.CloseStatus, Is.EqualTo(WebSocketCloseStatus.MessageTooBig));

        await good.SendAsync(new SignalRequest { Ping = 1 });
        await good.NextAsync(Kind.Pong);
    }

    [Test]
    public async Task Random_and_mutated_messages_take_nothing_down()
    {
        var random = new Random(20261120);
        await using var server = await TestServer.StartAsync();
        await using var witness = await server.JoinAsync("r", "witness");
        SignalRequest[] valid =
        [
            new() { AddTrack = new AddTrackRequest { Cid = "c", Source = TrackSource.Microphone } },
            new() { Subscription = new UpdateSubscription { TrackSids = { "TR_x" }, ParticipantTracks = { new ParticipantTracks { TrackSids = { "y" } } } } },
            new() { SyncState = new SyncState { Subscription = new UpdateSubscription(), DatachannelReceiveStates = { new DataChannelReceiveState { PublisherSid = "PA", LastSeq = 3 } } } },
            new() { SubscriptionPermission = new SubscriptionPermission { TrackPermissions = { new TrackPermission { ParticipantIdentity = "witness" } } } },
            new() { UpdateMetadata = new UpdateParticipantMetadata { Attributes = { ["a"] = "b" } } },
            new() { Mute = new MuteTrackRequest { Sid = "TR", Muted = true } },
            new() { Trickle = new TrickleRequest { CandidateInit = "{}" } },
            new() { Offer = new SessionDescription { Type = "offer", Sdp = "v=0\r\n" } },
            new() { TrackSetting = new UpdateTrackSettings { TrackSids = { "TR" }, Disabled = true } },
        ];
        for (var i = 0; i < 150; i++)
        {
            var frame = valid[random.Next(valid.Length)].ToByteArray();
            for (var m = 0; m < random.Next(4); m++)
            {
                frame[random.Next(frame.Length)] = (byte)random.Next(256);
            }

            await using var attacker = await server.JoinAsync("r", $"a{i % 5}", grant: g => g with { CanUpdateOwnMetadata = true });
            try
            {
                await attacker.SendAsync(frame);
                await attacker.SendAsync(random.Next(2) == 0 ? frame : frame[..random.Next(frame.Length)]);
            }
            catch (WebSocketException)
            {
                // The server closed it after the first.
            }
        }

        await witness.SendAsync(new SignalRequest { Ping = 1 });
        await witness.NextAsync(Kind.Pong);
    }

    [Test]
    public async Task Random_join_requests_are_refused_and_take_nothing_down()
    {
        var random = new Random(7);
        await using var server = await TestServer.StartAsync();
        var valid = Convert.FromBase64String(Uri.UnescapeDataString(SignalClient.Encode(new JoinRequest { ParticipantSid = "PA_x", Metadata = new string('m', 200) })));
        var token = TestServer.JoinToken("r", "x");
        for (var i = 0; i < 200; i++)
        {
            var mutated = (byte[])valid.Clone();
            for (var m = 0; m <= random.Next(5); m++)
            {
                mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            }

            using var response = await server.Http.GetAsync($"/rtc/v1/validate?access_token={token}&join_request={Uri.EscapeDataString(Convert.ToBase64String(mutated))}");
            Assert.That((int)response.StatusCode, Is.AnyOf(200, 400));
        }

        using var bomb = await server.Http.GetAsync($"/rtc/v1/validate?access_token={token}&join_request={SignalClient.Encode(new JoinRequest { Metadata = new string('x', 20_000_000) })}");
        Assert.That((int)bomb.StatusCode, Is.EqualTo(400), "what inflates beyond all bounds is not inflated");
    }

    [Test]
    public async Task Random_twirp_bodies_are_refused_and_take_nothing_down()
    {
        var random = new Random(11);
        await using var server = await TestServer.StartAsync();
        var token = TestServer.Token(new VideoGrant { RoomCreate = true, RoomList = true, RoomAdmin = true, Room = "r" });
        string[] methods = ["CreateRoom", "UpdateParticipant", "SendData", "UpdateSubscriptions", "livekit.AgentDispatchService/CreateDispatch"];
        var valid = new UpdateParticipantRequest { Room = "r", Identity = "x", Attributes = { ["a"] = "b" }, Permission = new ParticipantPermission() }.ToByteArray();
        for (var i = 0; i < 200; i++)
        {
            var body = (byte[])valid.Clone();
            for (var m = 0; m < 3; m++)
            {
                body[random.Next(body.Length)] = (byte)random.Next(256);
            }

            var content = new ByteArrayContent(body);
            content.Headers.ContentType = new(random.Next(3) == 0 ? "application/json" : "application/protobuf");
            using var response = await server.PostAsync(methods[random.Next(methods.Length)], token, content);
            Assert.That((int)response.StatusCode, Is.AnyOf(200, 400, 401, 404));
        }
    }
}
