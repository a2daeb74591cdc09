using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>A TCP relay to the server's port that can cut what runs through it. Media does not go this way.</summary>
internal sealed class SignalProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<TcpClient, byte> _open = new();
    private readonly Task _accepting;
    private readonly int _target;

    public SignalProxy(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void Cut()
    {
        foreach (var client in _open.Keys)
        {
            client.Close();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        Cut();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        var relays = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync();
                var server = new TcpClient { NoDelay = true };
                await server.ConnectAsync(IPAddress.Loopback, _target);
                client.NoDelay = true;
                _open[client] = _open[server] = 0;
                relays.Add(RelayAsync(client, server));
                relays.Add(RelayAsync(server, client));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Cut();
            await Task.WhenAll(relays);
        }
    }

    private async Task RelayAsync(TcpClient from, TcpClient to)
    {
        try
        {
            await from.GetStream().CopyToAsync(to.GetStream());
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Cut.
        }

        from.Close();
        to.Close();
        _open.TryRemove(from, out _);
        _open.TryRemove(to, out _);
    }
}
