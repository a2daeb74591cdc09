using System.Net;
using System.Net.Sockets;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using Kind = VoicePlatform.LiveKit.Protocol.SignalResponse.MessageOneofCase;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>Who counts, what is told, and what is refused before it costs anything.</summary>
internal sealed class ServerRulesTests
{
    [Test]
    public async Task Agents_and_recorders_do_not_count_against_the_limit_of_a_room()
    {
        await using var server = await TestServer.StartAsync();
        await server.CallAsync("CreateRoom", new VideoGrant { RoomCreate = true }, new { name = "pair", maxParticipants = 1 });
        await using var agent = await server.JoinAsync("pair", "agent", more: t => t with { Kind = "agent" });
        await using var caller = await server.JoinAsync("pair", "caller");
        await using var recorder = await server.JoinAsync("pair", "recorder", grant: g => g with { Recorder = true });
        await using var second = await server.JoinAsync("pair", "agent2", grant: g => g with { Agent = true });
        Assert.That(() => server.JoinAsync("pair", "another"), Throws.TypeOf<RefusedException>().With.Property("Status").EqualTo(500));
        await using var again = await server.JoinAsync("pair", "caller");
        await again.NextAsync(Kind.Join);
    }

    [Test]
    public async Task A_room_with_only_an_agent_left_ends_after_the_departure_timeout()
    {
        await using var server = await TestServer.StartAsync();
        await server.CallAsync("CreateRoom", new VideoGrant { RoomCreate = true }, new { name = "left", departureTimeout = 1 });
        await using var agent = await server.JoinAsync("left", "agent", more: t => t with { Kind = "agent" });
        await using (var caller = await server.JoinAsync("left", "caller"))
        {
            await caller.SendAsync(new SignalRequest { Leave = new LeaveRequest() });
            await caller.ClosedAsync();
        }

        Assert.That((await agent.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.RoomClosed));
        await server.WebhookAsync("room_finished");
    }

    [Test]
    public async Task A_client_is_told_at_once_that_it_may_not_publish_video()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        var shown = (await alice.NextAsync(Kind.Join)).Join.Participant.Permission;
        Assert.That(shown.CanPublish, Is.True);
        Assert.That(shown.CanPublishSources, Is.EquivalentTo(new[] { TrackSource.Unknown, TrackSource.Microphone, TrackSource.ScreenShareAudio }));

        var token = (await alice.NextAsync(Kind.RefreshToken)).RefreshToken;
        Assert.That(new TokenVerifier(TestServer.Key, TimeProvider.System).TryVerify(token, out var refreshed, out _), Is.True);
        Assert.That(refreshed!.Token.Video!.CanPublishSources, Is.Null, "the token keeps what was granted");
    }

    [Test]
    public async Task The_token_is_renewed_every_five_minutes_with_present_rights()
    {
        var clock = new SkewedTime();
        await using var server = await TestServer.StartAsync(
            o => o with { JoinTimeout = TimeSpan.FromHours(1), EmptyTimeout = TimeSpan.FromHours(1) }, clock: clock);
        await using var alice = await SignalClient.ConnectAsync(
            server.Server.Port, TestServer.JoinToken("r", "alice"), new JoinRequest());
        await alice.NextAsync(Kind.RefreshToken);
        clock.Ahead = TimeSpan.FromMinutes(4);
        await Task.Delay(TimeSpan.FromMilliseconds(600), TimeProvider.System);
        Assert.That(alice.Received.Count(r => r.MessageCase == Kind.RefreshToken), Is.Zero);

        clock.Ahead = TimeSpan.FromMinutes(5.1);
        var token = (await alice.NextAsync(Kind.RefreshToken)).RefreshToken;
        Assert.That(new TokenVerifier(TestServer.Key, clock).TryVerify(token, out var refreshed, out _), Is.True);
        Assert.That(refreshed!.ExpiresAt - clock.GetUtcNow(), Is.GreaterThan(TimeSpan.FromMinutes(9)));
        Assert.That((refreshed.Token.Identity, refreshed.Token.Video!.Room), Is.EqualTo(("alice", "r")));
    }

    [Test]
    public async Task Without_a_token_a_request_is_refused_before_its_body_is_read()
    {
        await using var server = await TestServer.StartAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Server.Port);
        var stream = client.GetStream();
        await stream.WriteAsync("POST /twirp/livekit.RoomService/SendData HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\nContent-Length: 5000000\r\n\r\nbegin"u8.ToArray());
        var answer = new byte[12];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        await stream.ReadExactlyAsync(answer, patience.Token);
        Assert.That(System.Text.Encoding.ASCII.GetString(answer), Is.EqualTo("HTTP/1.1 401"));
    }

    [Test]
    public async Task A_client_that_sends_without_end_does_not_keep_others_from_being_heard()
    {
        await using var server = await TestServer.StartAsync();
        await using var flood = await server.JoinAsync("r", "flood");
        await using var alice = await server.JoinAsync("r", "alice");
        await alice.NextAsync(Kind.Join);
        using var enough = new CancellationTokenSource();
        var sids = Enumerable.Range(0, 5_000).Select(i => $"TR_{i}");
        var message = new SignalRequest { TrackSetting = new UpdateTrackSettings { TrackSids = { sids } } };
        var flooding = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                await flood.SendAsync(message);
            }
        });
        await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System);
        for (var i = 1; i <= 5; i++)
        {
            await alice.SendAsync(new SignalRequest { PingReq = new Ping { Timestamp = i } });
            await alice.NextAsync(Kind.PongResp);
        }

        await enough.CancelAsync();
        await flooding;
    }

    /// <summary>The system's time with a lead that tests set; timers run by the system's.</summary>
    private sealed class SkewedTime : TimeProvider
    {
        private long _aheadTicks;

        public TimeSpan Ahead
        {
            get => TimeSpan.FromTicks(Interlocked.Read(ref _aheadTicks));
            set => Interlocked.Exchange(ref _aheadTicks, value.Ticks);
        }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;

        public override long GetTimestamp() => System.GetTimestamp() + (long)(Ahead.TotalSeconds * TimestampFrequency);
    }
}
