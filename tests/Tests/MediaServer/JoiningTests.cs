using System.Net;
using System.Net.WebSockets;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using Kind = VoicePlatform.LiveKit.Protocol.SignalResponse.MessageOneofCase;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class JoiningTests
{
    [Test]
    public async Task A_client_is_told_the_room_itself_and_the_others_first()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice", more: t => t with { Name = "Alice", Metadata = "m", Attributes = new Dictionary<string, string> { ["k"] = "v" } });
        var first = (await alice.NextAsync(Kind.Join)).Join;

        Assert.That(first.Room.Name, Is.EqualTo("r"));
        Assert.That(first.Room.Sid, Does.StartWith("RM_"));
        Assert.That(first.Participant.Sid, Does.StartWith("PA_"));
        Assert.That(first.Participant.Name, Is.EqualTo("Alice"));
        Assert.That(first.Participant.Metadata, Is.EqualTo("m"));
        Assert.That(first.Participant.Attributes["k"], Is.EqualTo("v"));
        Assert.That(first.Participant.State, Is.EqualTo(ParticipantInfo.Types.State.Joining));
        Assert.That(first.OtherParticipants, Is.Empty);
        Assert.That(first.FastPublish, Is.True);
        Assert.That((first.PingInterval, first.PingTimeout), Is.EqualTo((5, 15)));
        Assert.That(first.IceServers, Is.Empty);
        Assert.That((await alice.NextAsync(Kind.RefreshToken)).RefreshToken, Is.Not.Empty);

        await using var bob = await server.JoinAsync("r", "bob");
        Assert.That((await bob.NextAsync(Kind.Join)).Join.OtherParticipants.Select(p => p.Identity), Is.EqualTo(new[] { "alice" }));
        var seen = await alice.UpdateOfAsync("bob");
        Assert.That((seen.State, seen.Version), Is.EqualTo((ParticipantInfo.Types.State.Joined, 1u)));
    }

    [TestCase("wrong secret", 401)]
    [TestCase("unknown key", 401)]
    [TestCase("expired", 401)]
    [TestCase("no join grant", 401)]
    [TestCase("garbage", 401)]
    [TestCase("no room", 400)]
    [TestCase("long identity", 400)]
    public async Task A_token_that_does_not_allow_it_is_refused_at_the_socket_and_explained_by_validate(string what, int status)
    {
        await using var server = await TestServer.StartAsync();
        var now = TimeProvider.System.GetUtcNow();
        var join = new AccessToken { Identity = "x", Video = new VideoGrant { RoomJoin = true, Room = "r" } };
        var token = what switch
        {
            "wrong secret" => join.Sign(TestServer.Key with { Secret = "another-secret-another-secret" }, now),
            "unknown key" => join.Sign(TestServer.Key with { Id = "nokey" }, now),
            "expired" => join.Sign(TestServer.Key, now.AddHours(-7)),
            "no join grant" => (join with { Video = new VideoGrant { Room = "r" } }).Sign(TestServer.Key, now),
            "no room" => (join with { Video = new VideoGrant { RoomJoin = true } }).Sign(TestServer.Key, now),
            "long identity" => (join with { Identity = new string('x', 300) }).Sign(TestServer.Key, now),
            _ => "bad",
        };

        var refused = Assert.ThrowsAsync<RefusedException>(() => SignalClient.ConnectAsync(server.Server.Port, token, new JoinRequest()));
        Assert.That(refused!.Status, Is.EqualTo(status));
        using var validate = await server.Http.GetAsync($"/rtc/v1/validate?access_token={token}&join_request={SignalClient.Encode(new JoinRequest())}");
        Assert.That((int)validate.StatusCode, Is.EqualTo(status));
        Assert.That(await validate.Content.ReadAsStringAsync(), Is.Not.Empty.And.Not.Contains(token.Length > 10 ? token : "\0"));
        Assert.That(server.Server.Rooms.All, Is.Empty, "a refused join makes no room");
    }

    [TestCase("/rtc/validate?access_token={token}", 200, "success")]
    [TestCase("/rtc/validate?access_token=bad", 401, "invalid authorization token")]
    [TestCase("/rtc/v1/validate?access_token={token}", 400, "join_request is required")]
    [TestCase("/rtc/v1/validate?access_token={token}&join_request=%25%25", 400, null)]
    [TestCase("/rtc/v1/validate", 401, "invalid authorization token")]
    [TestCase("/rtc", 404, null)]
    [TestCase("/rtc/v1?access_token={token}", 400, null)]
    [TestCase("/agent?access_token={token}", 401, "permissions denied")]
    [TestCase("/nothing", 404, null)]
    public async Task Http_routes_answer_as_recorded(string path, int status, string? body)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.Http.GetAsync(path.Replace("{token}", TestServer.JoinToken("r", "x")));
        Assert.That((int)response.StatusCode, Is.EqualTo(status));
        if (body is not null)
        {
            Assert.That(await response.Content.ReadAsStringAsync(), Is.EqualTo(body));
        }
    }

    [Test]
    public async Task Browsers_of_any_origin_may_call()
    {
        await using var server = await TestServer.StartAsync();
        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/twirp/livekit.RoomService/ListRooms");
        preflight.Headers.Add("Origin", "http://example.com");
        preflight.Headers.Add("Access-Control-Request-Headers", "authorization");
        using var response = await server.Http.SendAsync(preflight);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That(response.Headers.GetValues("Access-Control-Allow-Origin"), Is.EqualTo(new[] { "*" }));
        Assert.That(response.Headers.GetValues("Access-Control-Allow-Headers").Single(), Does.Contain("Authorization"));
    }

    [Test]
    public async Task A_full_room_refuses_with_500_while_validate_still_says_success()
    {
        await using var server = await TestServer.StartAsync();
        await server.CallAsync("CreateRoom", new VideoGrant { RoomCreate = true }, new { name = "full", maxParticipants = 1 });
        await using var one = await server.JoinAsync("full", "one");

        var refused = Assert.ThrowsAsync<RefusedException>(() => server.JoinAsync("full", "two"));
        Assert.That(refused!.Status, Is.EqualTo(500));
        using var validate = await server.Http.GetAsync(
            $"/rtc/v1/validate?access_token={TestServer.JoinToken("full", "two")}&join_request={SignalClient.Encode(new JoinRequest())}");
        Assert.That(await validate.Content.ReadAsStringAsync(), Is.EqualTo("success"));

        await using var again = await server.JoinAsync("full", "one");
        Assert.That((await again.NextAsync(Kind.Join)).Join.Participant.Identity, Is.EqualTo("one"), "who replaces itself is not one more");
    }

    [Test]
    public async Task The_newer_of_two_with_one_identity_stays()
    {
        await using var server = await TestServer.StartAsync();
        await using var older = await server.JoinAsync("d", "dup");
        await using var other = await server.JoinAsync("d", "other");
        var sid = (await older.NextAsync(Kind.Join)).Join.Participant.Sid;
        await using var newer = await server.JoinAsync("d", "dup");

        var leave = (await older.NextAsync(Kind.Leave)).Leave;
        Assert.That((leave.Reason, leave.Action), Is.EqualTo((DisconnectReason.DuplicateIdentity, LeaveRequest.Types.Action.Disconnect)));
        await older.ClosedAsync();
        Assert.That(older.CloseStatus, Is.EqualTo(WebSocketCloseStatus.NormalClosure));
        Assert.That((await newer.NextAsync(Kind.Join)).Join.Participant.Sid, Is.Not.EqualTo(sid));
        var gone = await other.UpdateOfAsync("dup", p => p.State is ParticipantInfo.Types.State.Disconnected);
        Assert.That(gone.Sid, Is.EqualTo(sid));
        Assert.That((await other.UpdateOfAsync("dup", p => p.State is ParticipantInfo.Types.State.Joined)).Sid, Is.Not.EqualTo(sid));
    }

    [Test]
    public async Task Who_leaves_gets_the_leave_back_and_the_others_are_told()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await using var bob = await server.JoinAsync("r", "bob");
        await bob.SendAsync(new SignalRequest { Leave = new LeaveRequest { Reason = DisconnectReason.ClientInitiated } });

        Assert.That((await bob.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.ClientInitiated));
        await bob.ClosedAsync();
        var gone = await alice.UpdateOfAsync("bob", p => p.State is ParticipantInfo.Types.State.Disconnected);
        Assert.That(gone.DisconnectReason, Is.EqualTo(DisconnectReason.ClientInitiated));
    }

    [Test]
    public async Task A_hidden_participant_sees_and_is_not_seen()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await using var ghost = await server.JoinAsync("r", "ghost", grant: g => g with { Hidden = true });
        await using var bob = await server.JoinAsync("r", "bob");

        Assert.That((await ghost.NextAsync(Kind.Join)).Join.OtherParticipants.Select(p => p.Identity), Is.EqualTo(new[] { "alice" }));
        Assert.That((await bob.NextAsync(Kind.Join)).Join.OtherParticipants.Select(p => p.Identity), Is.EqualTo(new[] { "alice" }));
        await alice.UpdateOfAsync("bob");
        Assert.That(alice.Received.Where(r => r.MessageCase is Kind.Update).SelectMany(r => r.Update.Participants).Any(p => p.Identity == "ghost"), Is.False);
        var listed = await server.CallAsync("ListRooms", new VideoGrant { RoomList = true }, new { });
        Assert.That(listed.GetProperty("rooms")[0].GetProperty("num_participants").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public async Task A_signal_connection_that_was_cut_is_resumed_by_the_same_participant()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await using var bob = await server.JoinAsync("r", "bob");
        var sid = (await bob.NextAsync(Kind.Join)).Join.Participant.Sid;
        bob.Cut();

        await using var back = await server.JoinAsync("r", "bob", new JoinRequest { Reconnect = true, ParticipantSid = sid });
        var first = await back.NextAsync(Kind.Reconnect);
        Assert.That(first.Reconnect.ServerInfo.Protocol, Is.EqualTo(17));
        var state = (await back.NextAsync(Kind.Update)).Update.Participants;
        Assert.That(state.Select(p => p.Identity), Is.EquivalentTo(new[] { "alice", "bob" }));
        await back.NextAsync(Kind.RoomUpdate);
        await back.NextAsync(Kind.RefreshToken);
        await back.SendAsync(new SignalRequest { PingReq = new Ping { Timestamp = 7 } });
        Assert.That((await back.NextAsync(Kind.PongResp)).PongResp.LastPingTimestamp, Is.EqualTo(7));
        Assert.That(alice.Received.Where(r => r.MessageCase is Kind.Update).SelectMany(r => r.Update.Participants)
            .Any(p => p.State is ParticipantInfo.Types.State.Disconnected), Is.False, "nobody was told of a departure");
    }

    [Test]
    public async Task A_resume_of_nobody_is_answered_with_a_full_reconnect()
    {
        await using var server = await TestServer.StartAsync();
        await using var lost = await server.JoinAsync("r", "bob", new JoinRequest { Reconnect = true, ParticipantSid = "PA_gone" });
        var leave = (await lost.NextAsync(Kind.Leave)).Leave;
        Assert.That((leave.Action, leave.Reason, leave.CanReconnect), Is.EqualTo((LeaveRequest.Types.Action.Reconnect, DisconnectReason.StateMismatch, true)));
        await lost.ClosedAsync();
    }

    [Test]
    public async Task A_participant_that_does_not_come_back_is_removed()
    {
        await using var server = await TestServer.StartAsync(o => o with { ReconnectGrace = TimeSpan.FromMilliseconds(300) });
        await using var alice = await server.JoinAsync("r", "alice");
        await using var bob = await server.JoinAsync("r", "bob");
        bob.Cut();
        var gone = await alice.UpdateOfAsync("bob", p => p.State is ParticipantInfo.Types.State.Disconnected);
        Assert.That(gone.DisconnectReason, Is.EqualTo(DisconnectReason.SignalClose));
        Assert.That((await server.WebhookAsync("participant_connection_aborted")).Participant.Identity, Is.EqualTo("bob"));
    }

    [Test]
    public async Task A_participant_whose_media_never_connects_is_removed()
    {
        await using var server = await TestServer.StartAsync(o => o with { JoinTimeout = TimeSpan.FromMilliseconds(300) });
        await using var alice = await server.JoinAsync("r", "alice");
        var leave = (await alice.NextAsync(Kind.Leave)).Leave;
        Assert.That((leave.Reason, leave.Action), Is.EqualTo((DisconnectReason.JoinFailure, LeaveRequest.Types.Action.Reconnect)));
    }

    [Test]
    public async Task Stopping_tells_everybody_and_says_so_to_the_webhook_receiver()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await alice.NextAsync(Kind.Join);
        await server.Server.StopAsync(CancellationToken.None);
        Assert.That((await alice.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.ServerShutdown));
        await server.WebhookAsync("room_finished");
    }

    [Test]
    public async Task A_port_in_use_is_explained_in_one_sentence()
    {
        await using var server = await TestServer.StartAsync();
        var failure = Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(o => o with { Port = server.Server.Port }));
        Assert.That(failure!.Message, Does.Contain($"{server.Server.Port}").And.Contain("EMBEDDED_LIVEKIT_PORT"));
    }
}
