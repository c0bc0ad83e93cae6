// See languages_test.cpp for what it prints. The argument is the version to ask for.
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.*;
import java.net.http.HttpResponse.*;
import java.util.Arrays;
import java.util.stream.*;

class Get {
    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create("https://api.example.test" + path));
    }

    static void print(String what, HttpClient client, HttpRequest.Builder request) throws Exception {
        var r = client.send(request.build(), BodyHandlers.ofString());
        System.out.println(what + " " + r.version() + " " + r.statusCode() + " " + r.body().strip());
    }

    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(arguments[0])).build();
        print("get", client, to("/echo/get"));
        print("post", client, to("/echo/post").POST(BodyPublishers.ofString("from the sandbox")));

        var some = to("/bytes/100000").build();
        var sizes = IntStream.range(0, 8).mapToObj(i -> client.sendAsync(some, BodyHandlers.ofByteArray()))
            .collect(Collectors.toList());
        System.out.println("many " + sizes.stream().mapToInt(r -> r.join().body().length).sum());

        var large = new byte[3_000_000];
        Arrays.fill(large, (byte) 'u');
        print("upload", client, to("/sha256").POST(BodyPublishers.ofByteArray(large)));
        print("refused", client, to("/refused"));
    }
}
