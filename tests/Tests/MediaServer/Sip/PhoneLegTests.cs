using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Sip;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.Tests.MediaServer.Sip.Media;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.Tests.MediaServer.Sip;

internal sealed class PhoneLegTests
{
    [Test]
    public async Task Keys_that_cannot_be_pressed_keep_a_message_from_nobody()
    {
        await using var server = await TestServer.StartAsync();
        await using var phones = PhoneParty.Start();
        await using var alice = await server.JoinAsync("r", "alice");
        var room = server.Server.Rooms.Find("r")!;
        await using var leg = new Leg(phones);
        await leg.EnterAsync(room);
        await using var bob = await server.JoinAsync("r", "bob");       // told after the telephone

        await PressAsync("x");
        for (var i = 0; i < 20; i++)
        {
            await PressAsync("1");      // there is no call yet: they wait, and only so many may
        }

        await leg.DisposeAsync();
        await PressAsync("2");

        var received = await room.AskAsync(() => room.Find("bob")!.Outbox.Waiting.Select(bytes => DataPacket.Parser.ParseFrom(bytes).SipDtmf.Digit).ToList(), CancellationToken.None);
        Assert.That(string.Concat(received), Is.EqualTo("x" + new string('1', 20) + "2"));

        Task PressAsync(string digit) => room.AskAsync(
            () =>
            {
                room.OnData(room.Find("alice")!, DataChannelKind.Reliable, new DataPacket { SipDtmf = new SipDTMF { Digit = digit } }.ToByteArray());
                return 0;
            },
            CancellationToken.None);
    }

    [TestCase(90_000, 90_000)]
    [TestCase(315_576_000_000, 49 * 86_400)]
    [TestCase(0, null)]
    public void A_limit_is_one_that_timers_take(long given, int? seconds)
    {
        var limit = MediaTerms.Of(new Duration { Seconds = given });
        Assert.That(limit?.TotalSeconds, Is.EqualTo(seconds));
        using var timer = new CancellationTokenSource(limit ?? Timeout.InfiniteTimeSpan, TimeProvider.System);
        Assert.That(timer.IsCancellationRequested, Is.False);
    }

    private sealed class Leg : PhoneLeg
    {
        public Leg(PhoneMedia phones)
            : base("SCL_x", "phone", TimeProvider.System, NullLogger.Instance) => Media = phones.Open(new PhoneSessionOptions(), this);

        protected override SipCall? Call => null;

        public Task EnterAsync(Room room) => JoinAsync(room, "", "", new Dictionary<string, string>(), CancellationToken.None);

        protected override Task HangUpAsync() => Task.CompletedTask;
    }
}
