using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Webhooks;
using VoicePlatform.MediaServer.Workers;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class RoomEndTests
{
    [Test]
    public async Task A_rooms_end_is_told_before_its_name_is_free()
    {
        var (clock, logs) = (TimeProvider.System, NullLoggerFactory.Instance);
        var options = new MediaServerOptions { ApiKeys = new Dictionary<string, string> { [TestServer.Key.Id] = TestServer.Key.Secret } };
        await using var agents = new AgentDispatcher(options, clock, NullLogger.Instance);
        await using var transport = new MediaTransport(new TransportOptions { UdpPort = 0 }, clock, logs);
        await using var webhooks = new WebhookSender(options, clock, NullLogger<WebhookSender>.Instance);
        var services = new RoomServices(options, clock, logs, transport, webhooks, agents, new ServerInfo());
        var known = -1;
        var room = new Room(services, "r", new RoomConfiguration(), ended => known = agents.ListDispatches(ended.Sid, "").Count);
        room.Start();
        Assert.That(agents.ListDispatches(room.Sid, ""), Has.Count.EqualTo(1));

        await room.CloseAsync(DisconnectReason.RoomDeleted);

        Assert.That(known, Is.Zero, "of the room's dispatches, when it gave up its name");
    }
}
