using Amazon;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>
/// Where recordings are kept: under a folder of this machine, from where they go on to object storage when a recording asks for it.
/// </summary>
internal sealed class RecordingStore(string root, TimeProvider clock)
{
    private const int MaxPath = 512;
    private const string Extension = ".ogg";

    private static readonly TimeSpan UploadTimeout = TimeSpan.FromMinutes(10);

    /// <summary>The path a recording is kept under, relative to the root and to the bucket alike.</summary>
    /// <param name="asked">As asked for, with LiveKit's placeholders; empty: the room's name and the time.</param>
    /// <returns>Null when it would lead out of the root or is otherwise none.</returns>
    public static string? PathOf(string asked, string roomName, string roomId, DateTimeOffset now)
    {
        var time = now.UtcDateTime.ToString("yyyy-MM-dd'T'HHmmss", System.Globalization.CultureInfo.InvariantCulture);
        var path = (asked.Length > 0 ? asked : "{room_name}-{time}")
            .Replace("{room_name}", Safe(roomName), StringComparison.Ordinal)
            .Replace("{room_id}", roomId, StringComparison.Ordinal)
            .Replace("{time}", time, StringComparison.Ordinal);
        path = path.EndsWith('/') ? $"{path}{Safe(roomName)}-{time}" : path;
        path = path.EndsWith(Extension, StringComparison.OrdinalIgnoreCase) ? path : path + Extension;
        var isPlain = path.Length <= MaxPath && !path.StartsWith('/') && path.Split('/').All(part =>
            part.Length > 0 && part is not ("." or "..") && part.All(c => char.IsLetterOrDigit(c) || c is '-' or '_' or '.' or '+' or '@' or '=' or ':' or ' '));
        return isPlain ? path : null;
    }

    public string FullPath(string path) => Path.Combine(root, path);

    /// <summary>A new file. One that is there already is never written over.</summary>
    /// <exception cref="IOException">It is there already, or cannot be made.</exception>
    public FileStream Create(string path)
    {
        var full = FullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            Options = FileOptions.Asynchronous,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(full, options);
    }

    /// <summary>Brings a recording to its bucket; it stays here too.</summary>
    /// <returns>Where it is now.</returns>
    /// <exception cref="AmazonServiceException">The storage refused it.</exception>
    public async Task<string> UploadAsync(string path, S3Upload bucket)
    {
        using var client = Client(bucket);
        using var patience = new CancellationTokenSource(UploadTimeout, clock);

        // One request, as it is: not every storage that calls itself compatible understands pieces with signatures between them.
        await client.PutObjectAsync(
            new PutObjectRequest { BucketName = bucket.Bucket, Key = path, FilePath = FullPath(path), ContentType = "audio/ogg", UseChunkEncoding = false }, patience.Token);
        return bucket.Endpoint.Length > 0
            ? $"{bucket.Endpoint.TrimEnd('/')}/{bucket.Bucket}/{path}"
            : $"https://{bucket.Bucket}.s3.{client.Config.RegionEndpoint.SystemName}.amazonaws.com/{path}";
    }

    private static AmazonS3Client Client(S3Upload bucket)
    {
        var config = new AmazonS3Config { ForcePathStyle = bucket.ForcePathStyle || bucket.Endpoint.Length > 0, MaxErrorRetry = 4, RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED };
        if (bucket.Endpoint.Length > 0)
        {
            (config.ServiceURL, config.AuthenticationRegion) = (bucket.Endpoint, bucket.Region.Length > 0 ? bucket.Region : "us-east-1");
        }
        else
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(bucket.Region.Length > 0 ? bucket.Region : "us-east-1");
        }

        return new AmazonS3Client(new BasicAWSCredentials(bucket.AccessKey, bucket.Secret), config);
    }

    private static string Safe(string name) => string.Concat(name.Select(c => char.IsLetterOrDigit(c) || c is '-' or '_' or '+' or '=' or '@' ? c : '_'));
}
