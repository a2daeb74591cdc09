namespace VoicePlatform.Demo;

/// <summary>Sees a host die and come back, from outside.</summary>
internal sealed class HostWatch(HttpClient http, TimeProvider clock)
{
    /// <summary>The line that asks whoever started this program for kill -9 and a new start.</summary>
    public const string KillNow = "== Kill the host now";

    public async Task GoneAsync(CancellationToken ct)
    {
        while (await AnswersAsync("/health", ct))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), clock, ct);
        }
    }

    public async Task BackAsync(CancellationToken ct)
    {
        while (!await AnswersAsync("/health/ready", ct))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), clock, ct);
        }
    }

    private async Task<bool> AnswersAsync(string path, CancellationToken ct)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri(path, UriKind.Relative), ct);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
