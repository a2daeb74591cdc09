using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Extensions.Options;
using VoicePlatform.Calls.Data;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.Calls.Recording;

/// <summary>
/// Where recordings are: in the bucket of S3_BUCKET_NAME, or under DATA_DIR. The place is decided before the first byte, so that it
/// can be told at once. Links to files under DATA_DIR carry their own proof (sealed call id and expiry) and need no key.
/// </summary>
internal sealed class Recordings(IOptions<CallOptions> options, IOptions<BucketOptions> bucket, SecretBox box, TimeProvider clock) : IDisposable
{
    /// <summary>How long a link in an event works: as long as a receiver may take to come back for it.</summary>
    private static readonly TimeSpan EventLink = TimeSpan.FromDays(7);
    private const string Purpose = "recording link";

    /// <summary>For so long a file that is not here may be another host's to remove; then it is gone, by whomever.</summary>
    private static readonly TimeSpan OtherHosts = TimeSpan.FromDays(7);

    /// <summary>How long a store may take to remove a file.</summary>
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(15);

    // Links are for whoever is outside, who may reach the store by another name than we do.
    private readonly Lazy<AmazonS3Client> _links = new(() => ClientOf(bucket.Value, bucket.Value.PublicEndpoint));
    private readonly Lazy<AmazonS3Client> _store = new(() => ClientOf(bucket.Value, bucket.Value.Endpoint));

    public void Plan(Call call) => call.PlanRecording($"recordings/{call.TenantId}/{call.Id}.ogg", bucket.Value.IsSet);

    public EncodedFileOutput OutputOf(Call call)
    {
        var output = new EncodedFileOutput { FileType = EncodedFileType.Ogg, Filepath = call.RecordingPath, DisableManifest = true };
        if (call.RecordingInBucket is true)
        {
            var b = bucket.Value;
            output.S3 = new S3Upload
            {
                AccessKey = b.AccessKey, Secret = b.Secret, Region = b.Region, Bucket = b.Name, Endpoint = b.Endpoint ?? "", ForcePathStyle = b.Endpoint is not null,
            };
        }

        return output;
    }

    /// <summary>The address that goes into events and records; null when the call has no recording.</summary>
    public string? LinkOf(Call call) => call.RecordingPath is not { } path ? null
        : call.RecordingInBucket is true ? bucket.Value.UrlOf(path)
        : SignedUrl(call.Id, clock.GetUtcNow() + EventLink);

    /// <summary>An address by which anybody who has it can fetch the recording until <paramref name="expiresAt"/>.</summary>
    public async Task<string> SignedLinkAsync(Call call, DateTimeOffset expiresAt) => call.RecordingInBucket is true
        ? await _links.Value.GetPreSignedURLAsync(new GetPreSignedUrlRequest
        {
            BucketName = bucket.Value.Name, Key = call.RecordingPath, Expires = expiresAt.UtcDateTime,
            Protocol = bucket.Value.PublicEndpoint?.StartsWith("http://", StringComparison.Ordinal) is true ? Protocol.HTTP : Protocol.HTTPS,
        })
        : SignedUrl(call.Id, expiresAt);

    /// <summary>
    /// Removes the file, with what a recorder that failed to store it has left here. Of one that is gone already there is nothing to do.
    /// </summary>
    /// <exception cref="FileNotFoundException">It should be under DATA_DIR, and is not: another host may have it.</exception>
    public async Task DeleteAsync(Call call, CancellationToken ct)
    {
        var file = FileOf(call.RecordingPath!);
        if (call.RecordingInBucket is true)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
            patience.CancelAfter(StorePatience);
            await _store.Value.DeleteObjectAsync(bucket.Value.Name, call.RecordingPath, patience.Token);
        }
        else if (call is { RecordingStatus: RecordingStatus.Ready, RecordingSize: > 0 } && !File.Exists(file) && call.RecordingUnwantedAt > clock.GetUtcNow() - OtherHosts)
        {
            throw new FileNotFoundException("The recording is not under this host's DATA_DIR.");
        }

        foreach (var left in new[] { file, $"{file}.egress" }.Where(File.Exists))
        {
            File.Delete(left);
        }
    }

    /// <summary>The call that a link's token speaks of; null when it is not ours, was tampered with, or is over.</summary>
    public string? CallOf(string token)
    {
        try
        {
            return box.Open(Base64Url.DecodeFromChars(token), Purpose).Split('|') is [var callId, var until]
                && long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
                && clock.GetUtcNow().ToUnixTimeSeconds() < seconds
                ? callId
                : null;
        }
        catch (Exception e) when (e is FormatException or CryptographicException)
        {
            return null;
        }
    }

    public string FileOf(string path) => Path.Combine(Path.GetFullPath(options.Value.DataDir), path);

    public void Dispose()
    {
        foreach (var client in new[] { _links, _store }.Where(c => c.IsValueCreated))
        {
            client.Value.Dispose();
        }
    }

    private static AmazonS3Client ClientOf(BucketOptions bucket, string? endpoint) => new(
        new BasicAWSCredentials(bucket.AccessKey, bucket.Secret),
        new AmazonS3Config
        {
            AuthenticationRegion = bucket.Region, ServiceURL = endpoint ?? $"https://s3.{bucket.Region}.amazonaws.com", ForcePathStyle = endpoint is not null, MaxErrorRetry = 0,
        });

    private string SignedUrl(string callId, DateTimeOffset expiresAt) =>
        $"{options.Value.PublicUrl}/recordings/{Base64Url.EncodeToString(box.Seal($"{callId}|{expiresAt.ToUnixTimeSeconds()}", Purpose))}";
}

internal sealed class BucketOptions
{
    public string Name { get; private set; } = "";
    public string AccessKey { get; private set; } = "";
    public string Secret { get; private set; } = "";
    public string Region { get; private set; } = "";

    /// <summary>Of an object store that is not Amazon's (S3_ENDPOINT); its buckets are addressed by path.</summary>
    public string? Endpoint { get; private set; }

    /// <summary>The same store as it is reached from outside (S3_PUBLIC_ENDPOINT): what links name.</summary>
    public string? PublicEndpoint { get; private set; }

    public bool IsSet => Name.Length > 0;

    public void Read(IConfiguration configuration)
    {
        Name = configuration["S3_BUCKET_NAME"] ?? "";
        AccessKey = configuration["AWS_ACCESS_KEY_ID"] ?? "";
        Secret = configuration["AWS_SECRET_ACCESS_KEY"] ?? "";
        Region = configuration["AWS_REGION"] is { Length: > 0 } region ? region : "us-east-1";
        Endpoint = configuration["S3_ENDPOINT"] is { Length: > 0 } endpoint ? endpoint.TrimEnd('/') : null;
        PublicEndpoint = configuration["S3_PUBLIC_ENDPOINT"] is { Length: > 0 } outside ? outside.TrimEnd('/') : Endpoint;
        if (IsSet && (AccessKey.Length == 0 || Secret.Length == 0))
        {
            throw new InvalidOperationException("S3_BUCKET_NAME is set, so AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed too.");
        }
    }

    public string UrlOf(string key) => PublicEndpoint is { } endpoint ? $"{endpoint}/{Name}/{key}" : $"https://{Name}.s3.{Region}.amazonaws.com/{key}";
}
