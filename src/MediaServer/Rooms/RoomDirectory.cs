using System.Collections.Concurrent;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>All rooms by name. A room removes itself when it ends; a name may be used again at once.</summary>
internal sealed class RoomDirectory(RoomServices services) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Room> _rooms = new(StringComparer.Ordinal);
    private readonly Lock _creating = new();
    private volatile bool _stopped;

    public ICollection<Room> All => _rooms.Values;

    /// <summary>No more rooms are made.</summary>
    public bool IsStopped => _stopped;

    public Room? Find(string name) => _rooms.GetValueOrDefault(name);

    /// <summary>The room of that name, made now if there is none.</summary>
    public Room GetOrCreate(RoomConfiguration configuration, string name, out bool created)
    {
        lock (_creating)
        {
            ObjectDisposedException.ThrowIf(_stopped, this);
            created = false;
            if (_rooms.TryGetValue(name, out var existing) && !existing.IsClosed)
            {
                return existing;
            }

            created = true;
            var room = new Room(services, name, configuration, Remove);
            _rooms[name] = room;
            room.Start();
            return room;
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<Room> open;
        lock (_creating)
        {
            _stopped = true;
            open = [.. _rooms.Values];
        }

        await Task.WhenAll(open.Select(room => room.CloseAsync(DisconnectReason.ServerShutdown)));
    }

    private void Remove(Room room) => _rooms.TryRemove(new KeyValuePair<string, Room>(room.Name, room));
}
